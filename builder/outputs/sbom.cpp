#include "builder/outputs/sbom.hpp"

#include <map>
#include <string_view>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/version.hpp"

namespace builder::outputs {

using base::Json;

namespace {

/// An SPDX identifier has letters, digits, "." and "-".
std::string identifier(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    clean += good ? std::string(1, c) : fmt::format("-x{:02x}-", static_cast<unsigned char>(c));
  }
  return clean;
}

/// Percent-encoding of a package URL's parts.
std::string encoded(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("-._~").contains(c);
    clean += good ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return clean;
}

Json package_json(const InstalledPackage& package, const packages::LockedPackage* locked, const std::string& suite) {
  Json json = {
      {"SPDXID", fmt::format("SPDXRef-Package-{}-{}", identifier(package.name), identifier(package.architecture))},
      {"name", package.name},
      {"versionInfo", package.version},
      {"supplier", package.maintainer.empty() ? "NOASSERTION" : "Organization: " + package.maintainer},
      {"downloadLocation", "NOASSERTION"},
      {"filesAnalyzed", false},
      {"sourceInfo", fmt::format("built from {} {}", package.source, package.source_version)},
      {"licenseConcluded", "NOASSERTION"},
      {"licenseDeclared", "NOASSERTION"},
      {"copyrightText", "NOASSERTION"},
      {"summary", package.summary}};
  if (!package.homepage.empty()) json["homepage"] = package.homepage;
  if (locked != nullptr) {
    json["checksums"] = Json::array({Json{{"algorithm", "SHA256"}, {"checksumValue", base::to_hex(locked->sha256)}}});
  }
  json["externalRefs"] = Json::array(
      {Json{{"referenceCategory", "PACKAGE-MANAGER"},
            {"referenceType", "purl"},
            {"referenceLocator", fmt::format("pkg:deb/debian/{}@{}?arch={}&distro={}", encoded(package.name),
                                             encoded(package.version), package.architecture, encoded(suite))}}});
  return json;
}

}  // namespace

std::string spdx_bill(const SbomFacts& facts, const std::vector<InstalledPackage>& installed,
                      const packages::Lock& lock) {
  std::map<std::pair<std::string, std::string>, const packages::LockedPackage*> locked;
  for (const packages::LockedPackage& package : lock.packages) locked[{package.name, package.architecture}] = &package;
  const std::string image = "SPDXRef-Image";
  Json packages = Json::array();
  packages.push_back(
      {{"SPDXID", image},
       {"name", facts.identity.id()},
       {"versionInfo", facts.identity.version()},
       {"supplier", "NOASSERTION"},
       {"downloadLocation", "NOASSERTION"},
       {"filesAnalyzed", false},
       {"licenseConcluded", "NOASSERTION"},
       {"licenseDeclared", "NOASSERTION"},
       {"copyrightText", "NOASSERTION"},
       {"primaryPackagePurpose", "OPERATING-SYSTEM"},
       {"comment", fmt::format("OSTree commit {}, dm-verity root hash {}", facts.commit, facts.root_hash.hex())}});
  Json relationships = Json::array();
  relationships.push_back(
      {{"spdxElementId", "SPDXRef-DOCUMENT"}, {"relationshipType", "DESCRIBES"}, {"relatedSpdxElement", image}});
  for (const InstalledPackage& package : installed) {
    const auto at = locked.find({package.name, package.architecture});
    packages.push_back(package_json(package, at == locked.end() ? nullptr : at->second, facts.suite));
    relationships.push_back({{"spdxElementId", image},
                             {"relationshipType", "CONTAINS"},
                             {"relatedSpdxElement", packages.back()["SPDXID"]}});
  }
  const Json bill = {
      {"spdxVersion", "SPDX-2.3"},
      {"dataLicense", "CC0-1.0"},
      {"SPDXID", "SPDXRef-DOCUMENT"},
      {"name", facts.identity.label()},
      {"documentNamespace",
       fmt::format("https://spdx.org/spdxdocs/{}-{}", facts.identity.label(), facts.root_hash.hex())},
      {"creationInfo",
       {{"created", fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(facts.date.time_since_epoch().count()))},
        {"creators", Json::array({fmt::format("Tool: keelson-{}", base::version)})}}},
      {"documentDescribes", Json::array({image})},
      {"packages", packages},
      {"relationships", relationships}};
  return bill.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace builder::outputs
