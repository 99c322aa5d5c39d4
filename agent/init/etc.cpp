#include "agent/init/etc.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "agent/init/copy_tree.hpp"
#include "agent/init/remove_tree.hpp"
#include "base/file.hpp"

namespace agent::init {

using base::fail;
using base::fail_errno;
using base::Kind;
using base::ok;
using base::Result;

namespace {

/// The directory and those above it. Old generations keep old secrets: the last one is root's alone.
Result<> make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const bool last = slash == std::string::npos;
    if (::mkdir(path.substr(0, slash).c_str(), last ? 0700 : 0755) != 0 && errno != EEXIST) {
      const int error = errno;
      return fail_errno(error, "making the directory " + path.substr(0, slash));
    }
    if (last) return ok();
  }
}

Result<bool> is_there(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    const int error = errno;
    if (error == ENOENT) return false;
    return fail_errno(error, "examining " + path);
  }
  if (!S_ISDIR(status.st_mode)) return fail(Kind::invalid_input, path + " is no directory");
  return true;
}

/// Gives what is complete its name. Data before the name, for ext4 orders only what is appended to a file; then the
/// name itself, for restart_on_corruption may end this machine at any moment without a sync.
Result<> switch_to(const std::string& made, const std::string& name, const std::string& parent) {
  TRY(base::File directory, base::File::open(parent, O_RDONLY | O_DIRECTORY));
  if (::syncfs(directory.fd()) != 0) {
    const int error = errno;
    return fail_errno(error, "flushing the file system of " + parent);
  }
  if (::rename(made.c_str(), name.c_str()) != 0) {
    const int error = errno;
    return fail_errno(error, "renaming " + made + " to " + name);
  }
  return directory.sync();
}

}  // namespace

Result<std::string> prepare_etc(const EtcPlaces& places, const verity::RootHash& root_hash) {
  std::string generation = places.generations + "/" + root_hash.hex();
  TRY(const bool made_before, is_there(generation));
  if (made_before) return generation;
  const std::string unfinished = generation + ".new";
  TRY_DO(make_directories(places.generations));
  TRY_DO(remove_tree(unfinished), "clearing away what an earlier boot has left");
  TRY_DO(copy_tree(places.factory, unfinished), "making the first /etc of this version");
  TRY_DO(switch_to(unfinished, generation, places.generations));
  return generation;
}

}  // namespace agent::init
