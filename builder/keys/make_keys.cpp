#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "builder/keys/key_files.hpp"
#include "builder/keys/keys.hpp"
#include "builder/keys/make_key.hpp"

namespace builder::keys {

namespace fs = std::filesystem;

using base::bytes_of;
using base::ByteView;
using base::fail;
using base::fail_errno;
using base::Kind;
using base::Result;

namespace {

constexpr mode_t for_the_owner = 0600;
constexpr mode_t for_all = 0644;
constexpr std::size_t max_name = 40;  // with the longest title it stays within the 64 characters of a common name

/// A new directory that gets its name when it is complete, and is removed when the work on it fails or is interrupted.
class PartialDirectory {
 public:
  static Result<PartialDirectory> create(const std::string& path) {
    static std::atomic<unsigned> counter = 0;
    std::string partial = fmt::format("{}.partial-{}-{}", path, ::getpid(), ++counter);
    base::UndoOnInterrupt undo([partial] { remove(partial); });
    remove(partial);  // a dead process' of our number
    if (::mkdir(partial.c_str(), 0700) != 0) {
      const int error = errno;
      return fail_errno(error, "creating " + partial);
    }
    return PartialDirectory(path, std::move(partial), std::move(undo));
  }
  PartialDirectory(PartialDirectory&& other) noexcept
      : path_(std::move(other.path_)), partial_(std::exchange(other.partial_, {})), undo_(std::move(other.undo_)) {}
  PartialDirectory& operator=(PartialDirectory&&) = delete;
  PartialDirectory(const PartialDirectory&) = delete;
  PartialDirectory& operator=(const PartialDirectory&) = delete;
  ~PartialDirectory() {
    if (!partial_.empty()) remove(partial_);
  }

  Result<> write(const std::string& name, ByteView content, mode_t mode) {
    TRY(base::File file, base::File::open(partial_ + "/" + name, O_WRONLY | O_CREAT | O_EXCL, mode));
    if (::fchmod(file.fd(), mode) != 0) {  // whatever the umask
      const int error = errno;
      return fail_errno(error, "setting the mode of " + file.name());
    }
    TRY_DO(file.write_all(0, content));
    return file.sync();
  }

  /// Durable on return. An empty directory of that name is replaced.
  Result<> complete() {
    TRY_DO(sync(partial_));
    if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
      const int error = errno;
      return fail_errno(error, "renaming " + partial_ + " to " + path_);
    }
    partial_.clear();
    undo_.done();
    return sync(fs::path(path_).parent_path());
  }

 private:
  PartialDirectory(std::string path, std::string partial, base::UndoOnInterrupt undo)
      : path_(std::move(path)), partial_(std::move(partial)), undo_(std::move(undo)) {}

  /// More than once, for on an interrupt somebody may still be writing into it.
  static void remove(const std::string& directory) {
    std::error_code error;
    for (int attempt = 0; attempt < 10; ++attempt) {
      fs::remove_all(directory, error);
      if (!error) return;
    }
  }
  static Result<> sync(const std::string& directory) {
    TRY(base::File opened, base::File::open(directory, O_RDONLY | O_DIRECTORY));
    return opened.sync();
  }

  std::string path_;
  std::string partial_;
  base::UndoOnInterrupt undo_;
};

Result<> check_name(const std::string& name) {
  const bool printable = std::ranges::none_of(name, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  if (!name.empty() && name.size() <= max_name && printable) return base::ok();
  return fail(Kind::invalid_input, fmt::format("a name of {} bytes for the keys; 1 to {} printable characters make one",
                                               name.size(), max_name));
}

/// Where the keys go: absolute, without links. Fails when something is there already.
Result<std::string> free_place(const std::string& directory) {
  std::error_code error;
  fs::path place = fs::weakly_canonical(fs::absolute(directory, error), error);
  if (error) return fail_errno(error.value(), "resolving " + directory);
  if (!place.has_filename()) place = place.parent_path();
  const fs::file_status status = fs::status(place, error);
  if (!fs::exists(status)) return place.string();
  if (!fs::is_directory(status)) return fail(Kind::invalid_input, directory + " is there and is no directory");
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(place, error)) names.push_back(entry.path().filename().string());
  if (error) return fail_errno(error.value(), "reading " + directory);
  if (names.empty()) return place.string();
  return fail(Kind::invalid_input,
              fmt::format("{}/{} is there already; keys are never overwritten: give a new directory", directory,
                          std::ranges::min(names)));
}

std::string readme(const NewKeys& options) {
  std::string text = fmt::format(
      "The keys of {}, made by \"keelson keys new\".\n\n"
      "NAME.key is a private key: whoever has it is {} to every machine. Not encrypted; keep it accordingly.\n"
      "NAME.crt (a certificate) and NAME.pub belong to it and may be given to anybody.\n\n",
      options.name, options.name);
  for (const KeyFile& key : key_files) {
    text += fmt::format("{:<14} {}.\n{:<14} Keep it {}.\n", key.name, key.use, "", key.place);
  }
  text += fmt::format(
      "\nPK.auth, KEK.auth and db.auth put the three certificates into a firmware in setup mode. An image with Secure\n"
      "Boot carries them; they are no secret. {} names you in the firmware's lists.\n\n"
      "To build, db.key, db.crt, verity.key, verity.crt and the three .auth files are enough. A lost key cannot be "
      "made\n"
      "again: have a copy of those that are locked away. \"keelson keys show\" says what is here.\n",
      owner_file);
  return text;
}

/// The certificates of the firmware's variables with their keys, by name.
using Certified = std::map<std::string, Signer, std::less<>>;

Result<Certified> write_key_files(PartialDirectory& to, const NewKeys& options, std::chrono::sys_seconds now) {
  Certified certified;
  for (const KeyFile& key : key_files) {
    const std::string frame = fmt::format("making the key {}", key.name);
    auto made = key.form == KeyForm::certified ? make_rsa_key(static_cast<unsigned>(options.rsa_bits),
                                                              fmt::format("{} {}", options.name, key.title), now)
                                               : make_ed25519_key();
    if (!made) return std::unexpected(std::move(made).error().while_doing(frame));
    TRY_DO(to.write(private_file(key.name), made->private_key.bytes(), for_the_owner), frame);
    TRY_DO(to.write(public_file(key), bytes_of(made->public_part), for_all), frame);
    if (key.form != KeyForm::certified) continue;
    TRY(verity::PrivateKey private_key, verity::parse_private_key(made->private_key.bytes()), frame);
    TRY(std::vector<verity::Certificate> certificates, verity::parse_certificates(bytes_of(made->public_part)), frame);
    certified.emplace(key.name, Signer{std::move(private_key), std::move(certificates.front())});
  }
  return certified;
}

}  // namespace

Result<> make_keys(const std::string& directory, const NewKeys& options, const base::Clock& clock) {
  TRY_DO(check_name(options.name));
  TRY(const std::string place, free_place(directory));
  TRY(PartialDirectory partial, PartialDirectory::create(place));
  const auto now = std::chrono::floor<std::chrono::seconds>(clock.wall_time());
  TRY(const Certified certified, write_key_files(partial, options, now));
  TRY(const base::Uuid owner, make_uuid());
  TRY_DO(partial.write(owner_file, bytes_of(owner.text() + "\n"), for_all));
  for (const UpdateFile& file : update_files) {
    const Signer& signer = certified.find(file.signer)->second;
    const verity::Certificate& listed = certified.find(name_of(file.variable))->second.certificate;
    TRY(const base::Bytes update,
        sign_efi_update(file.variable, now, efi_signature_list(owner, listed), signer.key, signer.certificate));
    TRY_DO(partial.write(file.name(), update, for_all));
  }
  TRY_DO(partial.write("README.txt", bytes_of(readme(options)), for_all));
  return partial.complete();
}

}  // namespace builder::keys
