#include "builder/packages/deb.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/owned.hpp"

namespace builder::packages {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

using ArchiveReader = base::Owned<archive, &archive_read_free>;
using ArchiveWriter = base::Owned<archive, &archive_write_free>;
using ArchiveEntry = base::Owned<archive_entry, &archive_entry_free>;

constexpr std::size_t max_control_bytes = std::size_t{4} << 20;
constexpr std::size_t block_bytes = std::size_t{256} << 10;

std::unexpected<base::Error> said(archive* from) {
  const char* text = archive_error_string(from);
  const int number = archive_errno(from);
  const Kind kind = number == ENOSPC                      ? Kind::no_space
                    : number == EPERM || number == EACCES ? Kind::permission
                                                          : Kind::corrupt;
  return fail(kind, text != nullptr ? text : "no reason given");
}

/// The outer archive: "debian-binary", "control.tar.*", "data.tar.*".
class DebReader {
 public:
  static Result<DebReader> open(const std::string& path) {
    TRY(base::File file, base::File::open(path, O_RDONLY));
    ArchiveReader reader(archive_read_new());
    archive_read_support_format_ar(reader.get());
    if (archive_read_open_fd(reader.get(), file.fd(), block_bytes) != ARCHIVE_OK) return said(reader.get());
    return DebReader(std::move(file), std::move(reader));
  }

  /// Goes on to the member whose name begins so, and returns its whole name.
  Result<std::string> seek(std::string_view prefix) {
    while (true) {
      archive_entry* entry = nullptr;
      const int status = archive_read_next_header(reader_.get(), &entry);
      if (status == ARCHIVE_EOF) return fail(Kind::corrupt, fmt::format("it has no {}", prefix));
      if (status != ARCHIVE_OK) return said(reader_.get());
      const char* name = archive_entry_pathname(entry);
      if (name != nullptr && std::string_view(name).starts_with(prefix)) return std::string(name);
    }
  }

  /// The member as an archive of its own: a tar, or with `raw` its bytes without compression. Lives as long as this.
  Result<ArchiveReader> member(bool raw) {
    ArchiveReader inner(archive_read_new());
    archive_read_support_filter_gzip(inner.get());
    archive_read_support_filter_xz(inner.get());
    archive_read_support_filter_zstd(inner.get());
    archive_read_support_filter_bzip2(inner.get());
    archive_read_support_filter_lzma(inner.get());
    if (raw) {
      archive_read_support_format_raw(inner.get());
      archive_read_support_format_empty(inner.get());
    } else {
      archive_read_support_format_tar(inner.get());
      archive_read_support_format_empty(inner.get());
    }
    const auto read = [](archive* from, void* self, const void** block) -> la_ssize_t {
      auto& outer = *static_cast<DebReader*>(self);
      const la_ssize_t got = archive_read_data(outer.reader_.get(), outer.block_.data(), outer.block_.size());
      if (got < 0) archive_set_error(from, EIO, "%s", archive_error_string(outer.reader_.get()));
      *block = outer.block_.data();
      return got;
    };
    if (archive_read_open(inner.get(), this, nullptr, read, nullptr) != ARCHIVE_OK) return said(inner.get());
    return inner;
  }

 private:
  DebReader(base::File file, ArchiveReader reader)
      : file_(std::move(file)), reader_(std::move(reader)), block_(block_bytes) {}

  base::File file_;
  ArchiveReader reader_;
  Bytes block_;
};

Result<std::string> control_text(const std::string& path) {
  TRY(DebReader deb, DebReader::open(path));
  TRY_DO(deb.seek("control.tar"));
  TRY(const ArchiveReader tar, deb.member(false));
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(tar.get(), &entry);
    if (status == ARCHIVE_EOF) return fail(Kind::corrupt, "it has no control file");
    if (status != ARCHIVE_OK) return said(tar.get());
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr || (std::string_view(name) != "./control" && std::string_view(name) != "control")) continue;
    std::string text;
    std::array<char, 16384> buffer{};
    while (true) {
      const la_ssize_t got = archive_read_data(tar.get(), buffer.data(), buffer.size());
      if (got < 0) return said(tar.get());
      if (got == 0) return text;
      text.append(buffer.data(), static_cast<std::size_t>(got));
      if (text.size() > max_control_bytes) return fail(Kind::corrupt, "its control file is too long");
    }
  }
}

/// A name, version or architecture goes into file names and command lines.
bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 255 && text.front() != '-' && text.front() != '.' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.~:-") ==
             std::string_view::npos;
}

Result<DebFacts> facts_of(const std::string& path) {
  TRY(const std::string text, control_text(path));
  TRY(std::vector<Paragraph> paragraphs, parse_paragraphs(text), "its control file");
  if (paragraphs.size() != 1) return fail(Kind::corrupt, "its control file is not one paragraph");
  DebFacts facts{.control = std::move(paragraphs.front())};
  for (const auto& [field, into] : {std::pair("Package", &facts.name), std::pair("Version", &facts.version),
                                    std::pair("Architecture", &facts.architecture)}) {
    *into = facts.control.get(field);
    if (!is_word(*into)) return fail(Kind::corrupt, fmt::format("its control file has no {} that could be one", field));
  }
  return facts;
}

/// The header of a member of an ar archive, whose time and owner are zero. Source: ar(5), the System V form.
std::string ar_header(std::string_view name, std::uint64_t size) {
  return fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 0, 0, 0, "100644", size);
}

/// Appends to a file.
class Appender {
 public:
  explicit Appender(base::File file) : file_(std::move(file)) {}
  Result<> append(ByteView bytes) {
    TRY_DO(file_.write_all(size_, bytes));
    size_ += bytes.size();
    return base::ok();
  }
  std::uint64_t size() const { return size_; }
  base::File& file() { return file_; }

 private:
  base::File file_;
  std::uint64_t size_ = 0;
};

/// A member, its header written last, when the size is known.
Result<> append_member(Appender& out, std::string_view name, archive* from) {
  const std::uint64_t header = out.size();
  TRY_DO(out.append(base::bytes_of(ar_header(name, 0))));
  const std::uint64_t begin = out.size();
  archive_entry* entry = nullptr;
  if (const int status = archive_read_next_header(from, &entry); status != ARCHIVE_EOF) {
    if (status != ARCHIVE_OK) return said(from);
    Bytes block(block_bytes);
    while (true) {
      const la_ssize_t got = archive_read_data(from, block.data(), block.size());
      if (got < 0) return said(from);
      if (got == 0) break;
      TRY_DO(out.append(ByteView(block).first(static_cast<std::size_t>(got))));
    }
  }
  const std::uint64_t size = out.size() - begin;
  TRY_DO(out.file().write_all(header, base::bytes_of(ar_header(name, size))));
  return size % 2 == 0 ? base::ok() : out.append(base::bytes_of(std::string_view("\n")));
}

Result<> uncompressed(const std::string& deb, const std::string& to) {
  TRY(DebReader reader, DebReader::open(deb));
  TRY(base::File file, base::File::open(to, O_RDWR | O_CREAT | O_TRUNC, 0644));
  Appender out(std::move(file));
  TRY_DO(out.append(base::bytes_of("!<arch>\n" + ar_header("debian-binary", 4) + "2.0\n")));
  for (const char* name : {"control.tar", "data.tar"}) {
    TRY_DO(reader.seek(name));
    TRY(const ArchiveReader member, reader.member(true));
    TRY_DO(append_member(out, name, member.get()), name);
  }
  return base::ok();
}

Result<> copy_content(archive* from, archive* to) {
  while (true) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(from, &block, &size, &offset);
    if (status == ARCHIVE_EOF) return base::ok();
    if (status != ARCHIVE_OK) return said(from);
    if (archive_write_data_block(to, block, size, offset) != ARCHIVE_OK) return said(to);
  }
}

Result<> unpacked(const std::string& deb, const std::string& directory) {
  TRY(DebReader reader, DebReader::open(deb));
  TRY_DO(reader.seek("data.tar"));
  TRY(const ArchiveReader tar, reader.member(false));
  const ArchiveWriter disk(archive_write_disk_new());
  archive_write_disk_set_options(disk.get(), ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_XATTR |
                                                 ARCHIVE_EXTRACT_SECURE_NODOTDOT);
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(tar.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) return said(tar.get());
    const std::string name = archive_entry_pathname(entry);
    archive_entry_set_pathname(entry, (directory + "/" + name).c_str());
    if (const char* target = archive_entry_hardlink(entry); target != nullptr) {
      archive_entry_set_hardlink(entry, (directory + "/" + target).c_str());
    }
    if (archive_write_header(disk.get(), entry) < ARCHIVE_OK) return said(disk.get());
    if (archive_entry_size(entry) > 0) TRY_DO(copy_content(tar.get(), disk.get()), name);
    if (archive_write_finish_entry(disk.get()) < ARCHIVE_OK) return said(disk.get());
  }
  return base::ok();
}

/// A tar archive of the files given, which are root's.
Result<Bytes> tar_of(std::string_view name, std::string_view content) {
  Bytes bytes(std::size_t{64} * 1024 + content.size());
  std::size_t used = 0;
  const ArchiveWriter tar(archive_write_new());
  archive_write_set_format_ustar(tar.get());
  archive_write_set_bytes_per_block(tar.get(), 512);
  if (archive_write_open_memory(tar.get(), bytes.data(), bytes.size(), &used) != ARCHIVE_OK) return said(tar.get());
  const ArchiveEntry entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), "./");
  archive_entry_set_filetype(entry.get(), AE_IFDIR);
  archive_entry_set_perm(entry.get(), 0755);
  archive_entry_set_mtime(entry.get(), 0, 0);
  if (archive_write_header(tar.get(), entry.get()) != ARCHIVE_OK) return said(tar.get());
  if (!name.empty()) {
    archive_entry_clear(entry.get());
    archive_entry_set_pathname(entry.get(), std::string(name).c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(tar.get(), entry.get()) != ARCHIVE_OK) return said(tar.get());
    if (archive_write_data(tar.get(), content.data(), content.size()) < 0) return said(tar.get());
  }
  if (archive_write_close(tar.get()) != ARCHIVE_OK) return said(tar.get());
  bytes.resize(used);
  return bytes;
}

void append_member(Bytes& out, std::string_view name, ByteView content) {
  const std::string header = ar_header(name, content.size());
  const ByteView header_bytes = base::bytes_of(header);
  out.insert(out.end(), header_bytes.begin(), header_bytes.end());
  out.insert(out.end(), content.begin(), content.end());
  if (content.size() % 2 != 0) out.push_back(std::byte{'\n'});
}

}  // namespace

Result<DebFacts> read_deb(const std::string& path) {
  auto facts = facts_of(path);
  if (!facts) return std::unexpected(std::move(facts).error().while_doing("reading the package " + path));
  return facts;
}

Result<> write_uncompressed(const std::string& deb, const std::string& to) {
  auto done = uncompressed(deb, to);
  if (!done) return std::unexpected(std::move(done).error().while_doing("unpacking the package " + deb));
  return done;
}

Result<> unpack_files(const std::string& deb, const std::string& directory) {
  auto done = unpacked(deb, directory);
  if (!done) return std::unexpected(std::move(done).error().while_doing("unpacking the package " + deb));
  return done;
}

Result<Bytes> make_empty_deb(const std::string& control) {
  TRY(const Bytes control_tar, tar_of("./control", control));
  TRY(const Bytes data_tar, tar_of({}, {}));
  Bytes deb;
  const ByteView magic = base::bytes_of(std::string_view("!<arch>\n"));
  deb.insert(deb.end(), magic.begin(), magic.end());
  append_member(deb, "debian-binary", base::bytes_of(std::string_view("2.0\n")));
  append_member(deb, "control.tar", control_tar);
  append_member(deb, "data.tar", data_tar);
  return deb;
}

}  // namespace builder::packages
