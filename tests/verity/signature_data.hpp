#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/subprocess.hpp"
#include "verity/certificate.hpp"
#include "verity/root_hash.hpp"

/// What lies in tests/data/keys and tests/fuzz/corpus, and the outside judge.
namespace signature_data {

inline std::string key_path(const std::string& name) {
  return KEELSON_TEST_DATA "/keys/" + name + ".key.pem";
}
inline std::string certificate_path(const std::string& name) {
  return KEELSON_TEST_DATA "/keys/" + name + ".crt.pem";
}
inline verity::PrivateKey key(const std::string& name) {
  return verity::read_private_key(key_path(name)).value();
}
inline verity::Certificate certificate(const std::string& name) {
  return verity::read_certificate(certificate_path(name)).value();
}

/// What the corpus's signatures are over (tests/fuzz/make_corpus.sh).
inline verity::RootHash root() {
  return verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a").value();
}

/// A file of the corpus, as "signature_pkcs7/empty".
inline base::Bytes corpus(const std::string& name) {
  const std::string content = base::read_file(KEELSON_CORPUS "/" + name, std::size_t{1} << 20).value();
  const base::ByteView bytes = base::bytes_of(content);
  return {bytes.begin(), bytes.end()};
}

/// Runs a program and returns its standard output; a failure fails the test.
inline std::string run(std::vector<std::string> argv, std::string input = "") {
  base::Command command;
  command.argv = std::move(argv);
  command.input = std::move(input);
  auto output = base::run_checked(command);
  if (output) return *std::move(output);
  ADD_FAILURE() << output.error().message();
  return "";
}

inline std::string openssl(std::vector<std::string> arguments, std::string input = "") {
  arguments.insert(arguments.begin(), "openssl");
  return run(std::move(arguments), std::move(input));
}

}  // namespace signature_data
