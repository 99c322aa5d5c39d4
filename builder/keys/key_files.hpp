#pragma once

#include <array>
#include <string>
#include <string_view>

#include "builder/keys/efi_variable.hpp"

/// Which files a directory of keys has.
namespace builder::keys {

enum class KeyForm {
  certified,  // NAME.key and NAME.crt: RSA
  bare,       // NAME.key and NAME.pub: Ed25519
};

struct KeyFile {
  std::string_view name;
  KeyForm form;
  std::string_view title;  // behind the maker's name in the certificate's subject
  std::string_view use;
  std::string_view place;  // where the private key should be kept
};

inline constexpr std::array<KeyFile, 9> key_files{{
    {"PK", KeyForm::certified, "Platform Key", "Secure Boot: owns the machine, signs changes of KEK",
     "locked away; it is needed to hand a fleet over"},
    {"KEK", KeyForm::certified, "Key Exchange Key", "Secure Boot: signs changes of db", "locked away"},
    {"db", KeyForm::certified, "Secure Boot", "signs boot loader and UKI", "where images are built"},
    {"verity", KeyForm::certified, "Root Hash", "signs root hashes", "where images are built"},
    {"update", KeyForm::bare, "", "signs the index of releases", "where releases are published"},
    {"tuf-root", KeyForm::bare, "", "names the keys of all other roles of the channel", "locked away, offline"},
    {"tuf-targets", KeyForm::bare, "", "signs what releases there are", "where releases are published"},
    {"tuf-snapshot", KeyForm::bare, "", "signs which metadata belong together", "on the publishing server"},
    {"tuf-timestamp", KeyForm::bare, "", "signs, every day, that the channel is fresh", "on the publishing server"},
}};

struct UpdateFile {
  EfiVariable variable;
  std::string_view signer;  // the key that signs it

  std::string name() const { return std::string(name_of(variable)) + ".auth"; }
};

inline constexpr std::array<UpdateFile, 3> update_files{{
    {EfiVariable::platform_key, "PK"},
    {EfiVariable::key_exchange_key, "PK"},
    {EfiVariable::signature_database, "KEK"},
}};

inline constexpr const char* owner_file = "owner.guid";

inline std::string private_file(std::string_view key) {
  return std::string(key) + ".key";
}
inline std::string public_file(const KeyFile& key) {
  return std::string(key.name) + (key.form == KeyForm::certified ? ".crt" : ".pub");
}

}  // namespace builder::keys
