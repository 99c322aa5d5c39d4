// Only what CMake precompiles for the tests (see CMakeLists.txt). A program, for a library is compiled with other flags
// than they.
int main() {}
