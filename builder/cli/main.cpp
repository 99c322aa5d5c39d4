#include "base/interrupt.hpp"
#include "builder/cli/command_line.hpp"

int main(int argc, char** argv) {
  base::undo_when_interrupted("keelson");
  return static_cast<int>(builder::run_command_line(argc, argv));
}
