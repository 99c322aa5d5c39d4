#include "builder/packages/resolve.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/partial_file.hpp"
#include "base/subprocess.hpp"
#include "base/suggest.hpp"
#include "builder/packages/control.hpp"
#include "builder/packages/deb.hpp"

namespace builder::packages {

using base::fail;
using base::Kind;
using base::Result;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_index_bytes = std::size_t{64} << 20;
constexpr std::size_t max_deb_bytes = std::size_t{4} << 30;
constexpr std::chrono::minutes fetch_limit{30};
constexpr std::chrono::minutes solve_limit{5};

struct SizeAndDigest {
  std::uint64_t size_bytes;
  base::Sha256Digest sha256;
};

Result<SizeAndDigest> examine_deb(const std::string& path) {
  TRY(const base::File file, base::File::open(path, O_RDONLY));
  TRY(const std::uint64_t size, file.size());
  if (size > max_deb_bytes) return fail(Kind::invalid_input, path + " is larger than 4 GiB");
  TRY(const base::Sha256Digest sha256, base::sha256_of(file));
  return SizeAndDigest{size, sha256};
}

/// The digits of an architecture, and so on, with which apt-get is asked. One that is private: no configuration of the
/// host's but what `fetch_settings` takes over, no packages installed.
class PrivateApt {
 public:
  static Result<PrivateApt> set_up(const PackageRequest& request, const ResolveOptions& options) {
    PrivateApt apt(options.state_directory);
    for (const char* directory : {"etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "lists/partial",
                                  "cache/archives/partial", "local"}) {
      TRY_DO(base::make_directories(apt.directory_ + "/" + directory));
    }
    TRY_DO(apt.lock());
    TRY_DO(apt.write("apt.conf", apt.configuration(request, options)));
    TRY_DO(apt.write("status", ""));
    TRY_DO(apt.write("etc/preferences", preferences(options.stay_with)));
    TRY_DO(apt.write_local_repository(options));
    TRY_DO(apt.write("etc/sources.list.d/manifest.sources", to_deb822(options.sources, request.architecture)));
    TRY_DO(apt.write("etc/sources.list.d/local.list",
                     fmt::format("deb [trusted=yes] file:{}/local ./\n", apt.directory_)));
    return apt;
  }

  /// Fails: as resolve().
  Result<> update() const {
    TRY(const base::CommandResult done, run({"apt-get", "--quiet", "--error-on=any", "update"}, fetch_limit));
    return done.exit_status == 0 ? base::ok() : complaint(done.errors, "fetching the indexes");
  }

  Result<std::string> uris(const std::vector<std::string>& names, bool recommends) const {
    std::vector<std::string> argv = {"apt-get", "--quiet", "--yes", "--print-uris",
                                     recommends ? "--install-recommends" : "--no-install-recommends", "install",
                                     // apt counts itself among the essential; an image has no use for it.
                                     "?and(?essential,?not(?exact-name(apt)))"};
    argv.insert(argv.end(), names.begin(), names.end());
    TRY(base::CommandResult done, run(std::move(argv), solve_limit));
    if (done.exit_status == 0) return std::move(done.output);
    return complaint(done.errors + done.output, "choosing packages");
  }

  /// All names that the indexes have.
  std::vector<std::string> known_names() const {
    const auto done = run({"apt-cache", "pkgnames"}, solve_limit);
    std::vector<std::string> names;
    if (!done) return names;
    for (const std::string_view line : base::lines_of(done->output)) names.emplace_back(line);
    return names;
  }

  std::string lists() const { return directory_ + "/lists"; }

 private:
  explicit PrivateApt(std::string directory) : directory_(std::move(directory)) {}

  Result<> lock() {
    TRY(base::File file, base::File::open(directory_ + "/lock", O_RDWR | O_CREAT, 0644));
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      if (error == EWOULDBLOCK) return fail(Kind::busy, "another keelson is choosing packages in " + directory_);
      return base::fail_errno(error, "locking " + file.name());
    }
    lock_ = std::move(file);
    return base::ok();
  }

  Result<> write(const std::string& name, const std::string& text) const {
    return base::replace_file(directory_ + "/" + name, base::bytes_of(text));
  }

  std::string configuration(const PackageRequest& request, const ResolveOptions& options) const {
    return options.fetch_settings +
           fmt::format(
               "Dir \"{0}/\";\nDir::State \"{0}/\";\nDir::State::Lists \"{0}/lists/\";\nDir::State::status "
               "\"{0}/status\";\n"
               "Dir::Cache \"{0}/cache/\";\nDir::Etc \"{0}/etc/\";\nDir::Etc::Parts \"apt.conf.d\";\nDir::Log "
               "\"{0}/\";\n"
               "Dir::Etc::Trusted \"/etc/apt/trusted.gpg\";\nDir::Etc::TrustedParts \"/etc/apt/trusted.gpg.d/\";\n"
               "Dir::Etc::netrc \"/etc/apt/auth.conf\";\nDir::Etc::netrcparts \"/etc/apt/auth.conf.d/\";\n"
               "APT::Architecture \"{1}\";\nAPT::Architectures {{ \"{1}\"; }};\n"
               "Acquire::Languages \"none\";\nAcquire::ForceHash \"SHA256\";\nAcquire::GzipIndexes \"true\";\n"
               "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n"
               "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
               "APT::Sandbox::User \"root\";\nAPT::Get::AllowUnauthenticated \"false\";\n",
               directory_, request.architecture);
  }

  static std::string preferences(const std::vector<LockedPackage>& stay_with) {
    std::string text;
    for (const LockedPackage& package : stay_with) {
      if (package.local) continue;
      text += fmt::format("Package: {}:{}\nPin: version {}\nPin-Priority: 1001\n\n", package.name,
                          package.architecture == "all" ? "any" : package.architecture, package.version);
    }
    return text;
  }

  /// Our stand-in and what lies beside the manifest, as an archive of their own.
  Result<> write_local_repository(const ResolveOptions& options) const {
    const std::string repository = directory_ + "/local";
    std::error_code ignored;
    fs::remove_all(repository, ignored);
    TRY_DO(base::make_directories(repository));
    TRY(const base::Bytes stand_in, stand_in_deb());
    TRY_DO(base::replace_file(repository + "/" + stand_in_file, stand_in));
    TRY(std::string index, index_entry(repository + "/" + stand_in_file, stand_in_file));
    for (const LocalPackage& local : options.local) {
      TRY(const std::string entry, index_entry(local.path_to_file, fs::absolute(local.path_to_file)));
      index += entry;
    }
    return write("local/Packages", index);
  }

  Result<base::CommandResult> run(std::vector<std::string> argv, std::chrono::milliseconds limit) const {
    const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody changes it
    auto done =
        base::run({.argv = std::move(argv),
                   .environment = std::vector<std::string>{"APT_CONFIG=" + directory_ + "/apt.conf", "LC_ALL=C.UTF-8",
                                                           "DEBIAN_FRONTEND=noninteractive",
                                                           std::string("PATH=") + (path != nullptr ? path : "")},
                   .time_limit = limit,
                   .max_output_bytes = max_index_bytes});
    if (!done && done.error().kind() == Kind::not_found) {
      return fail(Kind::not_found, "apt-get is missing (package apt); with a lock and a full archive it is not needed");
    }
    return done;
  }

  /// apt's lines that begin with "E:" and "W:", as one error.
  std::unexpected<base::Error> complaint(std::string_view output, const std::string& doing) const {
    std::vector<std::string> lines;
    for (const std::string_view line : base::lines_of(output)) {
      const bool wanted = line.starts_with("E: ") || line.starts_with("W: ") || line.contains(" Depends: ") ||
                          line.contains("but it is not") || line.contains(" Conflicts: ") || line.contains(" Breaks: ");
      if (wanted) lines.emplace_back(line.substr(line.starts_with("E: ") || line.starts_with("W: ") ? 3 : 0));
    }
    std::string text = fmt::format("apt: {}", fmt::join(lines, "\n  "));
    const auto says = [&](std::string_view words) { return text.contains(words); };
    Kind kind = Kind::io;
    if (says("NO_PUBKEY") || says("not signed") || says("invalid signature") || says("signatures were invalid") ||
        says("is expired") || says("is not valid yet") || says("Clearsigned file") || says("weak security")) {
      kind = Kind::untrusted;
    } else if (says("Hash Sum mismatch") || says("unexpected size")) {
      kind = Kind::corrupt;
    } else if (says("Unable to locate package") || says("has no installation candidate") ||
               says("unmet dependencies") || says("was not found") || says("held broken packages")) {
      kind = Kind::invalid_input;
    }
    return std::unexpected(base::Error(kind, text + meant(text)).while_doing(doing));
  }

  std::string meant(const std::string& text) const {
    constexpr std::string_view words = "Unable to locate package ";
    const std::size_t at = text.find(words);
    if (at == std::string::npos) return {};
    const std::size_t begin = at + words.size();
    const auto name = base::did_you_mean(text.substr(begin, text.find_first_of(" \n", begin) - begin), known_names());
    return name ? fmt::format("; did you mean \"{}\"?", *name) : "";
  }

  std::string directory_;
  std::optional<base::File> lock_;
};

/// "%3a" as ":".
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && base::hex_digit(text[i + 1]) >= 0 &&
        base::hex_digit(text[i + 2]) >= 0) {
      plain += static_cast<char>(base::hex_digit(text[i + 1]) * 16 + base::hex_digit(text[i + 2]));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

/// What is left of a URI behind the archive's root.
std::optional<std::string> pool_path(std::string_view uri, const std::vector<Source>& sources) {
  for (const Source& source : sources) {
    std::string base = source.uri;
    if (!base.ends_with('/')) base += '/';
    if (uri.starts_with(base)) return unescaped(uri.substr(base.size()));
  }
  return std::nullopt;
}

/// "'URI' name_version_architecture.deb 1234 SHA256:ab..."
Result<LockedPackage> read_uri_line(std::string_view line, const ResolveOptions& options) {
  const auto bad = [&] { return fail(Kind::io, fmt::format("apt-get prints what is not understood: {}", line)); };
  const std::size_t quote = line.find('\'', 1);
  if (!line.starts_with('\'') || quote == std::string_view::npos) return bad();
  const std::string_view uri = line.substr(1, quote - 1);
  std::vector<std::string_view> words;
  for (std::string_view rest = line.substr(quote + 1); !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (!word.empty()) words.push_back(word);
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
  }
  constexpr std::string_view sha256 = "SHA256:";
  if (words.size() < 2 || !words[0].ends_with(".deb")) return bad();
  const std::string_view stem = words[0].substr(0, words[0].size() - 4);
  const std::size_t last = stem.rfind('_');
  const std::size_t first = stem.find('_');
  if (first == last) return bad();
  LockedPackage package{.name = unescaped(stem.substr(0, first)),
                        .version = unescaped(stem.substr(first + 1, last - first - 1)),
                        .architecture = unescaped(stem.substr(last + 1))};
  if (std::from_chars(words[1].data(), words[1].data() + words[1].size(), package.size_bytes).ec != std::errc{})
    return bad();
  if (const auto path = pool_path(uri, options.sources)) {
    if (words.size() < 3 || !words[2].starts_with(sha256)) {
      return fail(Kind::untrusted, fmt::format("the index has no SHA-256 of {}", words[0]));
    }
    TRY(const base::Bytes digest, base::from_hex(words[2].substr(sha256.size())));
    if (digest.size() != package.sha256.size()) return bad();
    std::ranges::copy(digest, package.sha256.begin());
    package.path = *path;
    return package;
  }
  package.local = true;  // which one, its name will tell
  return package;
}

Result<std::vector<LockedIndex>> read_indexes(const std::string& lists) {
  std::vector<LockedIndex> indexes;
  for (const auto& entry : fs::directory_iterator(lists)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with("_InRelease") && !name.ends_with("_Release")) continue;
    TRY(std::string text, base::read_file(entry.path(), max_index_bytes));
    LockedIndex index{.sha256 = base::sha256(base::bytes_of(text))};
    // A clear-signed message: the fields stand between the two empty lines around the signature's header and itself.
    std::string_view fields = text;
    if (fields.starts_with("-----BEGIN PGP SIGNED MESSAGE-----")) {
      const std::size_t begin = fields.find("\n\n");
      if (begin == std::string_view::npos) return fail(Kind::corrupt, name + " is no signed index");
      fields.remove_prefix(begin + 2);
      fields = fields.substr(0, fields.find("\n-----BEGIN PGP SIGNATURE-----"));
    }
    TRY(const std::vector<Paragraph> paragraphs, parse_paragraphs(fields), name);
    if (paragraphs.empty()) return fail(Kind::corrupt, name + " is empty");
    index.suite = paragraphs.front().get("Codename");
    if (index.suite.empty()) index.suite = paragraphs.front().get("Suite");
    if (index.suite.empty()) index.suite = "-";
    index.date = paragraphs.front().get("Date");
    if (index.date.empty()) index.date = "-";
    indexes.push_back(std::move(index));
  }
  std::ranges::sort(indexes, {},
                    [](const LockedIndex& index) { return std::tuple(index.suite, index.date, index.sha256); });
  return indexes;
}

/// The newest of the indexes' dates, or 0 where none has any: "Sat, 15 Nov 2025 10:11:12 UTC".
std::chrono::sys_seconds newest(const std::vector<LockedIndex>& indexes) {
  std::chrono::sys_seconds newest{};
  for (const LockedIndex& index : indexes) {
    std::tm parts{};
    if (::strptime(index.date.c_str(), "%a, %d %b %Y %H:%M:%S", &parts) == nullptr) continue;
    newest = std::max(newest, std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts))));
  }
  return newest;
}

/// Which files the local packages of a choice are.
Result<> find_local(std::vector<LockedPackage>& packages, const std::vector<LocalPackage>& local) {
  std::map<std::pair<std::string, std::string>, const LocalPackage*> by_name;
  for (const LocalPackage& each : local) {
    TRY(const DebFacts facts, read_deb(each.path_to_file));
    by_name[{facts.name, facts.version}] = &each;
  }
  std::erase_if(packages,
                [](const LockedPackage& package) { return package.local && package.name == stand_in_package; });
  for (LockedPackage& package : packages) {
    if (!package.local) continue;
    const auto at = by_name.find({package.name, package.version});
    if (at == by_name.end()) return fail(Kind::io, "apt chose a package that it was not given: " + package.name);
    package.path = at->second->path;
    TRY(const SizeAndDigest deb, examine_deb(at->second->path_to_file));
    package.size_bytes = deb.size_bytes;
    package.sha256 = deb.sha256;
  }
  return base::ok();
}

}  // namespace

Result<base::Bytes> stand_in_deb() {
  return make_empty_deb(
      fmt::format("Package: {}\nVersion: 1\nArchitecture: all\nMaintainer: Keelson\nSection: kernel\n"
                  "Priority: optional\nProvides: linux-initramfs-tool\n"
                  "Description: the initrd is made with the image\n"
                  " Stands for a generator of initial RAM disks, which an image has no use for.\n",
                  stand_in_package));
}

Result<std::string> index_entry(const std::string& deb, const std::string& file_name) {
  TRY(const DebFacts facts, read_deb(deb));
  TRY(const SizeAndDigest file, examine_deb(deb));
  return facts.control.text() +
         fmt::format("Filename: {}\nSize: {}\nSHA256: {}\n\n", file_name, file.size_bytes, base::to_hex(file.sha256));
}

Result<Lock> resolve(const PackageRequest& request, const ResolveOptions& options, base::ProgressStyle progress) {
  TRY(const PrivateApt apt, PrivateApt::set_up(request, options));
  {
    const base::Progress shown(progress, "fetching indexes", 0);
    TRY_DO(apt.update());
  }
  std::vector<std::string> names = request.install;
  names.insert(names.end(), {"usr-is-merged", stand_in_package});
  for (const LocalPackage& local : options.local) {
    TRY(const DebFacts facts, read_deb(local.path_to_file));
    names.push_back(facts.name + "=" + facts.version);
  }
  TRY(const std::string uris, apt.uris(names, request.recommends));
  Lock lock{.request = request};
  for (const std::string_view line : base::lines_of(uris)) {
    if (!line.starts_with('\'')) continue;
    TRY(LockedPackage package, read_uri_line(line, options));
    lock.packages.push_back(std::move(package));
  }
  if (lock.packages.empty()) return fail(Kind::io, "apt-get chose no packages at all");
  TRY_DO(find_local(lock.packages, options.local));
  std::ranges::sort(lock.packages, {},
                    [](const LockedPackage& each) { return std::tuple(each.name, each.architecture); });
  TRY(lock.indexes, read_indexes(apt.lists()));
  std::erase_if(lock.indexes, [](const LockedIndex& index) { return index.suite == "-" && index.date == "-"; });
  lock.date = newest(lock.indexes);
  return lock;
}

}  // namespace builder::packages
