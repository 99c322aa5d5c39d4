#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "builder/manifest/document.hpp"
#include "builder/manifest/merge.hpp"
#include "builder/manifest/schema.hpp"

namespace builder::manifest {

enum class Scripts { sandbox, declarative };
enum class Compression { none, lz4hc };
enum class OutputFormat { raw, qcow2, vhd, vmdk };

/// Where packages come from. Nothing: the host's own apt configuration.
struct DebianPackages {
  std::string suite;
  std::optional<std::vector<std::string>> sources;  // lines of sources.list
  std::vector<std::string> install;
  bool recommends = false;
  bool documentation = false;
};

/// Text that stands in the manifest, or a file beside it.
struct Content {
  std::string text;
  std::optional<std::string> source;  // path, relative to the manifest's directory
  Place place;
};

struct File {
  std::string path;
  Content content;
  std::uint16_t mode = 0644;
  std::string owner = "root";
  std::string group = "root";
};

/// A directory, tar archive or OCI archive that is laid over the root.
struct Tree {
  std::string source;
  std::string target = "/";
  Place place;
};

struct User {
  std::string name;
  std::optional<std::uint32_t> uid;
  std::vector<std::string> groups;
  std::string shell = "/bin/bash";
  std::optional<std::string> home;
  std::vector<std::string> ssh_keys;
  std::optional<std::string> password_hash;
  Place place;
};

struct Group {
  std::string name;
  std::optional<std::uint32_t> gid;
};

struct UnitFile {
  std::string name;
  Content content;
};
struct Units {
  std::vector<UnitFile> files;
  std::vector<std::string> enable;
  std::vector<std::string> disable;
  std::vector<std::string> mask;
};

struct Container {
  std::string name;
  std::string image;  // "oci-archive:web.tar"
  bool unit = true;
  std::vector<std::string> arguments;
  Place place;
};

enum class CheckKind { unit, http, command, file, dbus };
struct HealthCheck {
  CheckKind kind = CheckKind::unit;
  std::string subject;
  std::chrono::milliseconds timeout{10'000};
};

struct Budget {
  std::optional<std::uint64_t> root_bytes;
  std::optional<std::uint64_t> packages;
  std::optional<std::vector<std::string>> setuid;  // the only files that may be
};

struct EtcRule {
  std::string path;  // a glob
  std::string policy;
};

/// What a manifest says, checked and with its defaults.
struct Manifest {
  std::string id;
  std::string version;
  std::string arch = "x86-64";
  std::string pretty_name;

  DebianPackages debian;
  std::vector<std::string> local_packages;  // globs
  Scripts scripts = Scripts::sandbox;

  std::string kernel_package = "linux-image-cloud-amd64";
  std::vector<std::string> cmdline;
  std::vector<std::string> initrd_modules;
  std::vector<std::string> without_modules;  // directories below the kernel's modules

  std::vector<File> files;
  std::vector<Tree> trees;
  std::vector<User> users;
  std::vector<Group> groups;
  Units units;
  std::vector<Container> containers;
  std::map<std::string, std::string> os_release;
  std::string hostname;
  std::vector<EtcRule> etc;

  std::uint64_t esp_bytes = std::uint64_t{512} << 20;
  std::uint64_t root_bytes = std::uint64_t{2} << 30;
  unsigned headroom_percent = 30;
  std::uint32_t sector_size = 512;
  Compression compression = Compression::none;

  unsigned boot_tries = 3;
  bool secure_boot = true;
  std::chrono::seconds boot_timeout{0};
  std::string keys = "keys";  // a directory
  bool keys_named = false;    // by the manifest, not by default

  std::string update_url;
  std::string update_channel;
  std::chrono::milliseconds soak{60'000};
  std::vector<HealthCheck> health_checks;

  std::vector<OutputFormat> outputs = {OutputFormat::raw};
  Budget budget;
};

/// The language, version 1.
const Schema& language();

/// Reads the effective manifest of a file. Fails: as load_effective(); invalid_input with every complaint.
base::Result<Manifest> read_manifest(const std::string& path, const LoadOptions& options = {});
/// The same of a manifest that is loaded already.
base::Result<Manifest> manifest_of(const Value& effective);

}  // namespace builder::manifest
