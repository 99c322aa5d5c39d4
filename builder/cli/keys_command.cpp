#include "builder/cli/keys_command.hpp"

#include <chrono>
#include <memory>
#include <string>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "builder/keys/keys.hpp"

namespace builder {

using base::Json;
using base::Result;

namespace {

struct NewOptions {
  std::string directory;
  std::string name = keys::NewKeys().name;
  std::string type = "rsa2048";
};

struct ShowOptions {
  std::string directory;
};

std::string text_of(const keys::KeyFacts& key) {
  std::string here = "public part only";
  if (key.private_mode) {
    here = "private key here";
    if ((*key.private_mode & 0077U) != 0) here += fmt::format(", and open to others (mode {:04o})", *key.private_mode);
  }
  return fmt::format("{}  {}  {}\n{:16}{}", key.kind, key.fingerprint.substr(0, 16), here, "", key.use);
}

Json json_of(const keys::KeyFacts& key) {
  Json json = {{"use", key.use}, {"type", key.kind}, {"fingerprint", key.fingerprint}};
  if (!key.subject.empty()) json["subject"] = key.subject;
  json["private_key"] = key.private_mode.has_value();
  if (key.private_mode) json["private_key_mode"] = fmt::format("{:04o}", *key.private_mode);
  return json;
}

void show_directory(const std::string& directory, const keys::KeyDirectory& found, const Console& console) {
  Json json = {{"directory", directory}};
  std::string table = fmt::format("{:<14}  {}\n", "directory", printable(directory));
  if (found.owner) {
    json["owner"] = found.owner->text();
    table += fmt::format("{:<14}  {}\n", "owner", found.owner->text());
  }
  json["keys"] = Json::object();
  for (const keys::KeyFacts& key : found.keys) {
    json["keys"][key.name] = json_of(key);
    table += fmt::format("{:<14}  {}\n", key.name, text_of(key));
  }
  json["updates"] = Json::object();
  for (const keys::UpdateFacts& update : found.updates) {
    const std::string time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", update.timestamp);
    json["updates"][update.file] = {
        {"variable", update.variable}, {"timestamp", time}, {"certificates", update.subjects}};
    json["updates"][update.file]["signed_by"] = update.signed_by.empty() ? Json(nullptr) : Json(update.signed_by);
    table +=
        fmt::format("{:<14}  sets {} to {}; {}\n", update.file, update.variable,
                    printable(fmt::format("{}", fmt::join(update.subjects, ", "))),
                    update.signed_by.empty() ? "not checked, its signer is not here" : "signed by " + update.signed_by);
  }
  console.show(table, json);
}

Result<> show_keys(const ShowOptions& options, const Console& console) {
  TRY(const keys::KeyDirectory found, keys::examine_keys(options.directory));
  show_directory(options.directory, found, console);
  return base::ok();
}

Result<> new_keys(const NewOptions& options, const Console& console) {
  const keys::RsaBits bits = options.type == "rsa4096"   ? keys::RsaBits::rsa4096
                             : options.type == "rsa3072" ? keys::RsaBits::rsa3072
                                                         : keys::RsaBits::rsa2048;
  TRY_DO(keys::make_keys(options.directory, {.name = options.name, .rsa_bits = bits}),
         "making keys in " + options.directory);
  return show_keys({options.directory}, console);
}

}  // namespace

void add_keys_command(CLI::App& app, const Console& console, Verb& chosen) {
  CLI::App& parent = *app.add_subcommand("keys", "The keys of builds and channels: make, show");
  parent.require_subcommand(1);

  auto new_options = std::make_shared<NewOptions>();
  CLI::App& new_verb =
      add_verb(parent, console, chosen, "new", "Make every key that builds and a channel need", &new_keys, new_options);
  new_verb.add_option("DIR", new_options->directory, "A new or empty directory; its README.txt says what is what")
      ->required();
  new_verb.add_option("--name", new_options->name, "Whose keys they are, for the certificates' subjects")
      ->capture_default_str();
  new_verb
      .add_option("--type", new_options->type,
                  "Of the keys for Secure Boot and root hashes: rsa2048 (which every firmware knows), rsa3072, rsa4096")
      ->check(CLI::IsMember({"rsa2048", "rsa3072", "rsa4096"}))
      ->type_name("TYPE")
      ->capture_default_str();
  new_verb.footer("Nothing is ever overwritten.\n\nExample: keelson keys new keys --name \"Example Inc.\"");

  auto show_options = std::make_shared<ShowOptions>();
  CLI::App& show_verb =
      add_verb(parent, console, chosen, "show", "Say which keys are in a directory, and that they belong together",
               &show_keys, show_options);
  show_verb.add_option("DIR", show_options->directory, "As keelson keys new has made it")->required();
  show_verb.footer("Example: keelson keys show keys --json");
}

}  // namespace builder
