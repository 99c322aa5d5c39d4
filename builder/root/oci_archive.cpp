#include "builder/root/oci_archive.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/json.hpp"
#include "builder/root/layers.hpp"
#include "image/directory_source.hpp"
#include "image/file_content.hpp"
#include "image/tar_source.hpp"
#include "image/tree_edit.hpp"

namespace builder::root {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t max_json_bytes = std::size_t{4} << 20;
constexpr std::size_t max_layers = 512;
constexpr int max_indexes = 4;  // an index in an index

/// What another file says about a blob.
struct Descriptor {
  std::string media_type;
  std::string digest;  // "sha256:..."
  std::uint64_t size = 0;
};

Result<Descriptor> read_descriptor(const Json& json) {
  Descriptor descriptor;
  TRY(descriptor.media_type, base::json_text(json, "mediaType"));
  TRY(descriptor.digest, base::json_text(json, "digest"));
  constexpr std::string_view algorithm = "sha256:";
  if (!descriptor.digest.starts_with(algorithm) || descriptor.digest.size() != algorithm.size() + 64 ||
      descriptor.digest.find_first_not_of("0123456789abcdef", algorithm.size()) != std::string::npos) {
    return fail(Kind::unsupported, fmt::format("the digest \"{}\" is no SHA-256", descriptor.digest));
  }
  if (!json.contains("size") || !json["size"].is_number_unsigned()) {
    return fail(Kind::corrupt, descriptor.digest + " has no size");
  }
  descriptor.size = json["size"].get<std::uint64_t>();
  return descriptor;
}

class Layout {
 public:
  explicit Layout(image::SourcedTree files) : files_(std::move(files)) {}

  Result<OciImage> read() const {
    TRY(const std::string marker, text("/oci-layout"));
    TRY(const Json layout, base::parse_json(marker));
    TRY(const std::string version, base::json_text(layout, "imageLayoutVersion"));
    if (!version.starts_with("1.")) return fail(Kind::unsupported, "the image layout has version " + version);
    TRY(const std::string index_text, text("/index.json"));
    TRY(const Json index, base::parse_json(index_text, {.max_bytes = max_json_bytes}));
    TRY(const Descriptor chosen, choose(index, 0));
    TRY(const Json manifest, json(chosen));
    OciImage image{.manifest_digest = chosen.digest};
    TRY(const Descriptor config, member(manifest, "config"));
    TRY(const Json config_json, json(config));
    image.config = read_config(config_json);
    if (!manifest.contains("layers") || !manifest["layers"].is_array() || manifest["layers"].size() > max_layers) {
      return fail(Kind::corrupt, chosen.digest + " has no layers");
    }
    for (const Json& each : manifest["layers"]) {
      TRY(const Descriptor descriptor, read_descriptor(each));
      TRY(image::SourcedTree layer, read_layer(descriptor), "the layer " + descriptor.digest);
      image.root = image.root.contents ? with_layer(std::move(image.root), std::move(layer)) : std::move(layer);
    }
    if (!image.root.contents) return fail(Kind::invalid_input, "the image has no layer");
    return image;
  }

 private:
  static Result<Descriptor> member(const Json& json, const char* key) {
    if (!json.is_object() || !json.contains(key)) return fail(Kind::corrupt, fmt::format("a manifest without {}", key));
    return read_descriptor(json[key]);
  }

  /// The one manifest for this architecture.
  Result<Descriptor> choose(const Json& index, int depth) const {
    if (depth == max_indexes || !index.is_object() || !index.contains("manifests") || !index["manifests"].is_array()) {
      return fail(Kind::corrupt, "an index without manifests");
    }
    std::vector<Descriptor> fitting;
    for (const Json& each : index["manifests"]) {
      const Json platform = each.is_object() && each.contains("platform") ? each["platform"] : Json::object();
      const bool other = platform.contains("architecture") &&
                         (platform["architecture"] != "amd64" || platform.value("os", "linux") != "linux");
      if (other) continue;
      TRY(Descriptor descriptor, read_descriptor(each));
      fitting.push_back(std::move(descriptor));
    }
    if (fitting.size() != 1) {
      return fail(Kind::invalid_input,
                  fmt::format("it has {} images for linux/amd64, where one is expected", fitting.size()));
    }
    if (!fitting.front().media_type.contains("image.index") && !fitting.front().media_type.contains("manifest.list")) {
      return fitting.front();
    }
    TRY(const Json inner, json(fitting.front()));
    return choose(inner, depth + 1);
  }

  static OciConfig read_config(const Json& json) {
    OciConfig config;
    const Json inner =
        json.is_object() && json.contains("config") && json["config"].is_object() ? json["config"] : Json::object();
    const auto texts = [&](const char* key) {
      std::vector<std::string> read;
      if (!inner.contains(key) || !inner[key].is_array()) return read;
      for (const Json& item : inner[key]) {
        if (item.is_string()) read.push_back(item.get<std::string>());
      }
      return read;
    };
    const auto text = [&](const char* key) {
      return inner.contains(key) && inner[key].is_string() ? inner[key].get<std::string>() : std::string();
    };
    config.entrypoint = texts("Entrypoint");
    config.command = texts("Cmd");
    config.environment = texts("Env");
    config.working_directory = text("WorkingDir");
    config.user = text("User");
    return config;
  }

  Result<image::SourcedTree> read_layer(const Descriptor& descriptor) const {
    if (!descriptor.media_type.contains("layer") && !descriptor.media_type.contains("rootfs.diff.tar")) {
      return fail(Kind::unsupported, "its type is " + descriptor.media_type);
    }
    TRY(base::File copy, base::File::nameless({}));
    TRY_DO(copy_blob(descriptor, copy));
    if (::lseek(copy.fd(), 0, SEEK_SET) != 0) return fail(Kind::io, "going back to its beginning");
    return image::read_tar(copy.fd(), "its archive");
  }

  Result<const image::Inode*> inode(const std::string& path) const {
    if (const image::Inode* const file = image::find_file(files_.tree, path)) return file;
    return fail(Kind::invalid_input, fmt::format("it has no file {}: is it an OCI image layout?", path.substr(1)));
  }

  static std::string path_of(const Descriptor& descriptor) {
    return "/blobs/sha256/" + descriptor.digest.substr(std::string_view("sha256:").size());
  }

  /// Writes a blob, which is checked on the way.
  Result<> copy_blob(const Descriptor& descriptor, base::File& to) const {
    TRY(const image::Inode* blob, inode(path_of(descriptor)));
    if (blob->size != descriptor.size)
      return fail(Kind::corrupt, descriptor.digest + " has another size than it should");
    base::Sha256 sha;
    if (blob->size > 0) {
      TRY(const auto reader, files_.contents->open(blob->content));
      base::Bytes block(std::size_t{1} << 20);
      for (std::uint64_t at = 0; at < blob->size; at += block.size()) {
        const auto part = base::MutableByteView(block).first(std::min<std::uint64_t>(block.size(), blob->size - at));
        TRY_DO(reader->read(part));
        sha.update(part);
        TRY_DO(to.write_all(at, part));
      }
    }
    if ("sha256:" + base::to_hex(sha.finish()) != descriptor.digest) {
      return fail(Kind::corrupt, "the blob " + descriptor.digest + " is not what its name says");
    }
    return base::ok();
  }

  Result<std::string> text(const std::string& path) const {
    TRY(const image::Inode* file, inode(path));
    if (file->size == 0 || file->size > max_json_bytes) return fail(Kind::corrupt, path + " is empty or too long");
    return image::read_content(*files_.contents, *file, path, max_json_bytes);
  }

  Result<Json> json(const Descriptor& descriptor) const {
    TRY(const std::string bytes, text(path_of(descriptor)));
    if ("sha256:" + base::to_hex(base::sha256(base::bytes_of(bytes))) != descriptor.digest) {
      return fail(Kind::corrupt, "the blob " + descriptor.digest + " is not what its name says");
    }
    return base::parse_json(bytes, {.max_bytes = max_json_bytes});
  }

  image::SourcedTree files_;
};

Result<image::SourcedTree> read_files(const std::string& path) {
  if (std::filesystem::is_directory(path)) return image::read_directory(path);
  TRY(const base::File file, base::File::open(path, O_RDONLY));
  return image::read_tar(file.fd(), path);
}

}  // namespace

Result<OciImage> read_oci_archive(const std::string& path) {
  TRY(image::SourcedTree files, read_files(path));
  auto image = Layout(std::move(files)).read();
  if (!image) return std::unexpected(std::move(image).error().while_doing("the OCI archive " + path));
  return image;
}

}  // namespace builder::root
