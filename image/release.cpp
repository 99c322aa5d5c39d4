#include "image/release.hpp"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/base64.hpp"
#include "base/json.hpp"
#include "base/suggest.hpp"
#include "image/authenticode.hpp"
#include "image/kernel_cmdline.hpp"
#include "verity/root_hash_signature.hpp"
#include "verity/signature_partition.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

constexpr std::uint64_t max_size = std::uint64_t{1} << 50;
constexpr std::uint64_t max_file_size = std::uint64_t{1} << 32;  // of a UKI and its parts: FAT holds less
constexpr std::uint64_t max_time = 253402300799;                 // the last second of the year 9999
constexpr std::uint64_t block_size = 4096;
constexpr std::uint64_t slot_unit = std::uint64_t{1} << 20;
constexpr std::size_t max_path = 1024;
constexpr std::size_t max_name = 128;
constexpr std::size_t max_cmdline = 4096;
constexpr std::size_t max_uname = 64;  // as the kernel's own
constexpr std::size_t max_version_numbers = 4;
constexpr std::size_t max_version_digits = 9;

template <class T>
struct Word {
  T value;
  std::string_view text;
};
constexpr Word<Architecture> architectures[] = {{Architecture::x86_64, "x86-64"}};
constexpr Word<erofs::Compression> compressions[] = {{erofs::Compression::none, "none"},
                                                     {erofs::Compression::lz4hc, "lz4hc"}};
constexpr Word<FileCompression> file_compressions[] = {{FileCompression::none, "none"},
                                                       {FileCompression::zstd, "zstd"}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}

bool is_name(std::string_view text) {
  return text.size() <= max_name && !text.empty() && is_alphanumeric(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || std::string_view("._+-").contains(c); });
}
bool is_uname(std::string_view text) {
  return text.size() <= max_uname && !text.empty() &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || std::string_view("._+~-").contains(c); });
}
bool is_cmdline(std::string_view text) {
  return text.size() <= max_cmdline && std::ranges::all_of(text, is_printable);
}
bool is_path(std::string_view text) {
  if (text.size() > max_path || !std::ranges::all_of(text, is_printable)) return false;
  while (true) {
    const std::size_t slash = text.find('/');
    const std::string_view part = text.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}
bool is_version(std::string_view text) {
  for (std::size_t numbers = 1;; ++numbers) {
    const std::size_t dot = text.find('.');
    const std::string_view number = text.substr(0, dot);
    if (numbers > max_version_numbers || number.empty() || number.size() > max_version_digits ||
        !std::ranges::all_of(number, is_digit)) {
      return false;
    }
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}
bool is_compressor(std::string_view text) {
  return text.size() <= 64 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view(".+~ -").contains(c);
         });
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

/// A member of an object, by its key and its place in the whole.
struct Member {
  const Json* value;
  std::string pointer;

  std::unexpected<base::Error> refuse(const std::string& why) const {
    return fail(Kind::invalid_input, pointer + ": " + why);
  }
};

Result<std::string> text_of(const Member& member) {
  if (!member.value->is_string()) return member.refuse("a text is wanted");
  return member.value->get<std::string>();
}

Result<std::string> text_of(const Member& member, bool (*is_valid)(std::string_view), const char* wanted) {
  TRY(std::string text, text_of(member));
  if (!is_valid(text)) return member.refuse(std::string(wanted) + " is wanted");
  return text;
}

/// A number from `least` to `most`, a multiple of `unit`.
Result<std::uint64_t> number_of(const Member& member, std::uint64_t least, std::uint64_t most, std::uint64_t unit = 1) {
  if (member.value->is_number_unsigned()) {
    const auto number = member.value->get<std::uint64_t>();
    if (number >= least && number <= most && number % unit == 0) return number;
  }
  return member.refuse(unit == 1 ? fmt::format("a whole number from {} to {} is wanted", least, most)
                                 : fmt::format("a multiple of {} from {} to {} is wanted", unit, least, most));
}

template <class T, std::size_t n>
Result<T> word_of(const Member& member, const Word<T> (&words)[n]) {
  TRY(const std::string text, text_of(member));
  const auto found = std::ranges::find(words, text, &Word<T>::text);
  if (found != std::end(words)) return found->value;
  std::string known;
  for (const Word<T>& word : words) known += (known.empty() ? "\"" : ", \"") + std::string(word.text) + "\"";
  return member.refuse("one of " + known + " is wanted");
}

template <class T, std::size_t n>
std::string word_for(T value, const Word<T> (&words)[n]) {
  return std::string(std::ranges::find(words, value, &Word<T>::value)->text);
}

Result<base::Sha256Digest> digest_of(const Member& member) {
  TRY(const std::string text, text_of(member, &is_digest, "64 lower-case hexadecimal digits"));
  TRY(const Bytes bytes, base::from_hex(text), member.pointer);
  base::Sha256Digest digest{};
  std::ranges::copy(bytes, digest.begin());
  return digest;
}

Result<Bytes> base64_of(const Member& member, std::size_t max_bytes) {
  TRY(const std::string text, text_of(member));
  TRY(Bytes bytes, base::from_base64(text), member.pointer);
  if (bytes.empty() || bytes.size() > max_bytes) {
    return member.refuse(fmt::format("{} bytes in base64; 1 to {} are wanted", bytes.size(), max_bytes));
  }
  return bytes;
}

/// An object of which all members are known.
class Object {
 public:
  /// Fails: invalid_input (no object; a key that is in neither list; one of `required` is missing).
  static Result<Object> of(const Member& member, std::initializer_list<const char*> required,
                           std::initializer_list<const char*> optional = {}) {
    if (!member.value->is_object()) {
      return member.pointer.empty() ? fail(Kind::invalid_input, "an object is wanted")
                                    : member.refuse("an object is wanted");
    }
    std::vector<std::string> known(required.begin(), required.end());
    known.insert(known.end(), optional.begin(), optional.end());
    for (const auto& [key, value] : member.value->items()) {
      if (std::ranges::find(known, key) != known.end()) continue;
      const auto meant = base::did_you_mean(key, known);
      return fail(Kind::invalid_input, pointer_to(member, key) + ": this key is not known here" +
                                           (meant ? "; did you mean \"" + *meant + "\"?" : ""));
    }
    for (const char* key : required) {
      if (!member.value->contains(key)) return fail(Kind::invalid_input, pointer_to(member, key) + ": is missing");
    }
    return Object(member);
  }

  /// One of the required members.
  Member operator[](const char* key) const { return {&member_.value->at(key), pointer_to(member_, key)}; }
  std::optional<Member> find(const char* key) const {
    if (!member_.value->contains(key)) return std::nullopt;
    return (*this)[key];
  }

 private:
  explicit Object(Member member) : member_(std::move(member)) {}

  /// RFC 6901; what does not print in a key is shown as "?".
  static std::string pointer_to(const Member& member, std::string_view key) {
    std::string pointer = member.pointer + "/";
    for (const char c : key.substr(0, 64)) {
      if (c == '~') {
        pointer += "~0";
      } else if (c == '/') {
        pointer += "~1";
      } else {
        pointer += is_printable(c) ? c : '?';
      }
    }
    return pointer;
  }

  Member member_;
};

Result<ImageIdentity> identity_of(const Member& id, const Member& version) {
  TRY(std::string id_text, text_of(id));
  TRY(std::string version_text, text_of(version));
  // Each by itself first, so that the error names the right one of them.
  TRY_DO(ImageIdentity::of(id_text, "0"), id.pointer);
  TRY_DO(ImageIdentity::of("0", version_text), version.pointer);
  TRY(ImageIdentity identity, ImageIdentity::of(std::move(id_text), std::move(version_text)), version.pointer);
  return identity;
}

Result<ComposerSettings> read_composer(const Member& member) {
  TRY(const Object object, Object::of(member, {"cluster_bytes", "compression", "compressor", "version"}));
  ComposerSettings composer;
  TRY(const std::uint64_t version, number_of(object["version"], 1, UINT32_MAX));
  TRY(composer.compression, word_of(object["compression"], compressions));
  TRY(const std::uint64_t cluster, number_of(object["cluster_bytes"], block_size, slot_unit));
  if ((cluster & (cluster - 1)) != 0) return object["cluster_bytes"].refuse("a power of two is wanted");
  if (composer.compression == erofs::Compression::none && cluster != block_size) {
    return object["cluster_bytes"].refuse("without compression there are only clusters of 4096");
  }
  TRY(composer.compressor, text_of(object["compressor"], &is_compressor, "a name and a version"));
  if (composer.compressor.empty() != (composer.compression == erofs::Compression::none)) {
    return object["compressor"].refuse("it has a name where there is compression, and only there");
  }
  composer.version = static_cast<std::uint32_t>(version);
  composer.cluster_bytes = static_cast<std::uint32_t>(cluster);
  return composer;
}

Result<> read_erofs(const Member& member, Release& release) {
  TRY(const Object object, Object::of(member, {"time", "uuid"}));
  TRY(release.erofs_time, number_of(object["time"], 0, max_time));
  TRY(const std::string text, text_of(object["uuid"]));
  TRY(release.erofs_uuid, base::Uuid::parse(text), object["uuid"].pointer);
  if (release.erofs_uuid.text() != text) return object["uuid"].refuse("lower-case digits are wanted");
  return base::ok();
}

Result<> read_root(const Member& member, Release& release) {
  TRY(const Object object,
      Object::of(member, {"hash", "hash_tree_bytes", "image_bytes", "signature", "slot_bytes"}, {"certificate"}));
  TRY(release.root_hash.bytes, digest_of(object["hash"]));
  TRY(release.root_hash_signature, base64_of(object["signature"], verity::max_signature_size));
  if (const auto certificate = object.find("certificate")) {
    TRY(release.root_hash_certificate, digest_of(*certificate));
  }
  TRY(release.image_bytes, number_of(object["image_bytes"], block_size, max_size, block_size));
  TRY(release.hash_tree_bytes, number_of(object["hash_tree_bytes"], block_size, max_size, block_size));
  TRY(release.slot_bytes, number_of(object["slot_bytes"], slot_unit, max_size, slot_unit));
  if (release.image_bytes > release.slot_bytes) {
    return object["image_bytes"].refuse(
        fmt::format("the image of {} bytes does not fit into its slot of {}", release.image_bytes, release.slot_bytes));
  }
  return base::ok();
}

Result<FileInCommit> read_file_in_commit(const Member& member) {
  TRY(const Object object, Object::of(member, {"path", "sha256", "size_bytes"}));
  FileInCommit file;
  TRY(file.path, text_of(object["path"], &is_path, R"(a relative path without empty parts, "." and "..")"));
  TRY(file.size_bytes, number_of(object["size_bytes"], 1, max_file_size));
  TRY(file.sha256, digest_of(object["sha256"]));
  return file;
}

Result<UkiFromParts> read_uki_from_parts(const Member& member, const verity::RootHash& root_hash) {
  TRY(const Object object,
      Object::of(member, {"cmdline", "form", "initrd", "kernel", "os_release", "sha256", "size_bytes", "stub", "uname"},
                 {"signature"}));
  UkiFromParts uki;
  TRY(uki.size_bytes, number_of(object["size_bytes"], 1, max_file_size));
  TRY(uki.sha256, digest_of(object["sha256"]));
  if (const auto signature = object.find("signature")) {
    TRY(uki.signature, base64_of(*signature, max_pe_signature_size));
  }
  TRY(uki.cmdline, text_of(object["cmdline"], &is_cmdline, "a line of printable ASCII, at most 4096 characters,"));
  const auto named = root_hash_in(uki.cmdline);
  if (!named) return object["cmdline"].refuse(named.error().message());
  if (*named != root_hash) return object["cmdline"].refuse("it names another root hash than /root/hash");
  TRY(uki.uname, text_of(object["uname"], &is_uname, "a kernel release, at most 64 of A-Z a-z 0-9 . _ + ~ -,"));
  TRY(uki.stub, read_file_in_commit(object["stub"]));
  TRY(uki.os_release, read_file_in_commit(object["os_release"]));
  TRY(uki.initrd, read_file_in_commit(object["initrd"]));
  TRY(uki.kernel, read_file_in_commit(object["kernel"]));
  return uki;
}

constexpr const char* wanted_name = "a file name, at most 128 of A-Z a-z 0-9 . _ + -,";

Result<WholeUki> read_whole_uki(const Member& member) {
  TRY(const Object object, Object::of(member, {"form", "name", "sha256", "size_bytes"}));
  WholeUki uki;
  TRY(uki.name, text_of(object["name"], &is_name, wanted_name));
  TRY(uki.size_bytes, number_of(object["size_bytes"], 1, max_file_size));
  TRY(uki.sha256, digest_of(object["sha256"]));
  return uki;
}

Result<std::variant<UkiFromParts, WholeUki>> read_uki(const Member& member, const verity::RootHash& root_hash) {
  enum class Form { parts, whole };
  constexpr Word<Form> forms[] = {{Form::parts, "parts"}, {Form::whole, "whole"}};
  if (!member.value->is_object()) return member.refuse("an object is wanted");
  if (!member.value->contains("form")) return fail(Kind::invalid_input, member.pointer + "/form: is missing");
  TRY(const Form form, word_of(Member{&member.value->at("form"), member.pointer + "/form"}, forms));
  if (form == Form::whole) return read_whole_uki(member);
  return read_uki_from_parts(member, root_hash);
}

Result<FullImage> read_full_image(const Member& member) {
  TRY(const Object object, Object::of(member, {"compression", "name", "sha256", "size_bytes"}));
  FullImage image;
  TRY(image.name, text_of(object["name"], &is_name, wanted_name));
  TRY(image.size_bytes, number_of(object["size_bytes"], 1, max_size));
  TRY(image.sha256, digest_of(object["sha256"]));
  TRY(image.compression, word_of(object["compression"], file_compressions));
  return image;
}

/// A node that wrote another signature than the UKI names would never boot it.
Result<> check_signature_named(const Release& release) {
  const auto* const uki = std::get_if<UkiFromParts>(&release.uki);
  if (uki == nullptr) return base::ok();
  TRY(const auto named, signature_digest_in(uki->cmdline), "/uki/cmdline");
  if (!named) return base::ok();
  TRY(const Bytes partition, signature_partition_of(release), "/root/signature");
  if (base::sha256(ByteView(partition).first(signature_block_size)) == *named) return base::ok();
  return fail(Kind::invalid_input,
              "/uki/cmdline: it names another signature than /root/signature and /root/certificate");
}

/// Before anything else is looked at: another version may have other keys.
Result<> check_format(const Json& root) {
  const auto format = root.is_object() ? root.find("keelson_release") : root.end();
  if (format == root.end()) return base::ok();  // reported with what else is missing
  TRY(const std::uint64_t number, number_of({&*format, "/keelson_release"}, 1, UINT32_MAX));
  if (number == release_format) return base::ok();
  return fail(
      Kind::unsupported,
      fmt::format("/keelson_release: version {} of the format; this program reads version {}", number, release_format));
}

Result<Release> read_release(std::string_view text) {
  TRY(const Json root, base::parse_json(text, {.max_bytes = max_release_bytes, .max_depth = 8}));
  TRY_DO(check_format(root));
  TRY(const Object object, Object::of({&root, ""}, {"agent", "commit", "composer", "erofs", "full_image", "image",
                                                    "keelson_release", "root", "uki"}));
  TRY(const Object image, Object::of(object["image"], {"architecture", "id", "version"}));
  TRY(ImageIdentity identity, identity_of(image["id"], image["version"]));
  Release release{.identity = std::move(identity)};
  TRY(release.architecture, word_of(image["architecture"], architectures));
  TRY(release.commit, digest_of(object["commit"]));
  TRY(release.composer, read_composer(object["composer"]));
  TRY_DO(read_erofs(object["erofs"], release));
  TRY_DO(read_root(object["root"], release));
  TRY(release.uki, read_uki(object["uki"], release.root_hash));
  TRY_DO(check_signature_named(release));
  TRY(release.full_image, read_full_image(object["full_image"]));
  TRY(const Object agent, Object::of(object["agent"], {"minimum_version"}));
  TRY(release.minimum_agent_version,
      text_of(agent["minimum_version"], &is_version, "one to four numbers with dots between"));
  return release;
}

/// Sorted by key.
using SortedJson = nlohmann::json;

SortedJson json_of(const FileInCommit& file) {
  return {{"path", file.path}, {"sha256", base::to_hex(file.sha256)}, {"size_bytes", file.size_bytes}};
}

SortedJson json_of(const UkiFromParts& uki) {
  SortedJson json = {{"form", "parts"},
                     {"size_bytes", uki.size_bytes},
                     {"sha256", base::to_hex(uki.sha256)},
                     {"cmdline", uki.cmdline},
                     {"uname", uki.uname},
                     {"stub", json_of(uki.stub)},
                     {"os_release", json_of(uki.os_release)},
                     {"initrd", json_of(uki.initrd)},
                     {"kernel", json_of(uki.kernel)}};
  if (!uki.signature.empty()) json["signature"] = base::to_base64(uki.signature);
  return json;
}

SortedJson json_of(const WholeUki& uki) {
  return {{"form", "whole"}, {"name", uki.name}, {"sha256", base::to_hex(uki.sha256)}, {"size_bytes", uki.size_bytes}};
}

SortedJson root_json_of(const Release& release) {
  SortedJson json = {{"hash", release.root_hash.hex()},
                     {"signature", base::to_base64(release.root_hash_signature)},
                     {"image_bytes", release.image_bytes},
                     {"hash_tree_bytes", release.hash_tree_bytes},
                     {"slot_bytes", release.slot_bytes}};
  if (release.root_hash_certificate) json["certificate"] = base::to_hex(*release.root_hash_certificate);
  return json;
}

}  // namespace

Result<Release> parse_release(std::string_view json) {
  TRY(Release release, read_release(json), "the release");
  return release;
}

Result<Bytes> signature_partition_of(const Release& release) {
  verity::SignaturePartition partition{release.root_hash, std::nullopt, release.root_hash_signature};
  if (release.root_hash_certificate) partition.certificate_fingerprint = base::to_hex(*release.root_hash_certificate);
  return partition.encode();
}

std::string to_json(const Release& release) {
  const SortedJson json = {{"keelson_release", release_format},
                           {"image",
                            {{"id", release.identity.id()},
                             {"version", release.identity.version()},
                             {"architecture", word_for(release.architecture, architectures)}}},
                           {"commit", base::to_hex(release.commit)},
                           {"composer",
                            {{"version", release.composer.version},
                             {"compression", word_for(release.composer.compression, compressions)},
                             {"cluster_bytes", release.composer.cluster_bytes},
                             {"compressor", release.composer.compressor}}},
                           {"erofs", {{"uuid", release.erofs_uuid.text()}, {"time", release.erofs_time}}},
                           {"root", root_json_of(release)},
                           {"uki", std::visit([](const auto& uki) { return json_of(uki); }, release.uki)},
                           {"full_image",
                            {{"name", release.full_image.name},
                             {"size_bytes", release.full_image.size_bytes},
                             {"sha256", base::to_hex(release.full_image.sha256)},
                             {"compression", word_for(release.full_image.compression, file_compressions)}}},
                           {"agent", {{"minimum_version", release.minimum_agent_version}}}};
  // What parse_release() accepts is ASCII; should something else be in it, the text must still be one.
  return json.dump(2, ' ', false, SortedJson::error_handler_t::replace) + "\n";
}

}  // namespace image
