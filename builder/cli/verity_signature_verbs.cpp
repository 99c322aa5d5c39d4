#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/partial_file.hpp"
#include "builder/cli/verity_command.hpp"
#include "builder/cli/verity_files.hpp"
#include "verity/certificate.hpp"
#include "verity/root_hash_signature.hpp"
#include "verity/signature_partition.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

/// The most that is read of a signature file or partition; the partition of the design has 1 MiB.
constexpr std::size_t max_signature_file_size = std::size_t{4} << 20;

struct SignOptions {
  std::string root_hash;
  std::string root_hash_file;
  std::string key;
  std::string certificate;
  std::string output;
  bool partition = false;
};

Result<> sign(const SignOptions& options, const Console& console) {
  TRY(const verity::RootHash root, root_hash_from(options.root_hash, options.root_hash_file));
  TRY(const verity::PrivateKey key, verity::read_private_key(options.key));
  TRY(const verity::Certificate certificate, verity::read_certificate(options.certificate));
  TRY(base::Bytes content, verity::sign_root_hash(root, key, certificate));
  if (options.partition) {
    const verity::SignaturePartition partition{root, certificate.fingerprint(), std::move(content)};
    TRY(content, partition.encode());
  }
  TRY_DO(base::replace_file(options.output, content), "writing the signature");

  FactSheet facts;
  facts.add("root_hash", root.hex());
  facts.add("signed_by", certificate.subject());
  facts.add("fingerprint", certificate.fingerprint());
  facts.add("form", options.partition ? "root-verity-sig partition (JSON)" : "PKCS#7 (DER)");
  facts.add("signature", base::Json(options.output), fmt::format("{} ({} bytes)", options.output, content.size()));
  console.show(facts);
  return base::ok();
}

struct CheckOptions {
  std::string root_hash;
  std::string root_hash_file;
  std::string signature;
  std::vector<std::string> certificates;
};

/// The PKCS#7 in a file that holds either just that or the content of a root-verity-sig partition.
Result<base::Bytes> signature_in(base::ByteView content, const verity::RootHash& root) {
  const bool is_json = !content.empty() && content.front() == std::byte{'{'};
  if (!is_json) return base::Bytes(content.begin(), content.end());
  TRY(verity::SignaturePartition partition, verity::SignaturePartition::decode(content));
  if (partition.root_hash != root) {
    return fail(Kind::untrusted, "belongs to another root hash, " + partition.root_hash.hex());
  }
  return std::move(partition.signature);
}

Result<> check_signature(const CheckOptions& options, const Console& console) {
  TRY(const verity::RootHash root, root_hash_from(options.root_hash, options.root_hash_file));
  TRY(const std::vector<verity::Certificate> trusted, certificates_from(options.certificates));
  TRY(const std::string content, base::read_file(options.signature, max_signature_file_size));
  TRY(const base::Bytes signature, signature_in(base::bytes_of(content), root), options.signature);
  TRY(const verity::Certificate signer, verity::verify_root_hash_signature(root, signature, trusted),
      options.signature);

  FactSheet facts;
  facts.add("root_hash", root.hex());
  facts.add("signature", "good");
  facts.add("signed_by", signer.subject());
  facts.add("fingerprint", signer.fingerprint());
  console.show(facts);
  return base::ok();
}

}  // namespace

void add_verity_signature_verbs(CLI::App& verity, const Console& console, Verb& chosen) {
  auto sign_options = std::make_shared<SignOptions>();
  CLI::App& sign_verb = add_verb(verity, console, chosen, "sign", "Sign a root hash, as the kernel and systemd want it",
                                 &sign, sign_options);
  sign_verb.add_option("ROOT_HASH", sign_options->root_hash, "64 hexadecimal digits");
  sign_verb.add_option("--root-hash-file", sign_options->root_hash_file, "Read the root hash from this file");
  sign_verb.add_option("--key", sign_options->key, "The private key (PEM, not encrypted)")->required();
  sign_verb.add_option("--cert", sign_options->certificate, "Its certificate (PEM or DER)")->required();
  sign_verb.add_option("-o,--output", sign_options->output, "Where to write the signature")->required();
  sign_verb.add_flag("--partition", sign_options->partition, "Write the content of a root-verity-sig partition");
  sign_verb.footer(
      "Example: keelson verity sign --root-hash-file root.hash --key verity.key --cert verity.crt -o root.p7s");

  auto check_options = std::make_shared<CheckOptions>();
  CLI::App& check_verb =
      add_verb(verity, console, chosen, "check-signature", "Check the signature of a root hash against certificates",
               &check_signature, check_options);
  check_verb.add_option("SIGNATURE", check_options->signature, "A PKCS#7 (DER) or a root-verity-sig partition")
      ->required();
  check_verb.add_option("ROOT_HASH", check_options->root_hash, "64 hexadecimal digits");
  check_verb.add_option("--root-hash-file", check_options->root_hash_file, "Read the root hash from this file");
  check_verb.add_option("--cert", check_options->certificates, "Certificates to trust (PEM or DER); may be repeated")
      ->required()
      ->take_all();
  check_verb.footer("Example: keelson verity check-signature root.p7s --root-hash-file root.hash --cert verity.crt");
}

}  // namespace builder
