#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "builder/manifest/manifest.hpp"
#include "builder/root/draft.hpp"

namespace builder::root {

/// The account files of a root, as they stand in /etc.
struct Accounts {
  std::string passwd;
  std::string group;
  std::string shadow;
  std::string gshadow;
};

struct UserEntry {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
};

/// The number of a user or a group; nothing where the text is anything else.
std::optional<std::uint32_t> number_in(std::string_view text);
/// A user's line in passwd; nothing where there is none.
std::optional<UserEntry> find_user(const Accounts& accounts, const std::string& name);
/// A group's number.
std::optional<std::uint32_t> find_group(const Accounts& accounts, const std::string& name);

/// The accounts with the manifest's groups and users. A number that is not given is the first from 1000 on that neither
/// files nor manifest use; a user has a group of his own name and, where it is free, of his number. A group that is
/// there already stays. Without a hash a user has no password and cannot log in by one. Nothing is dated.
/// Fails: invalid_input, with the manifest's place (a user that is there; a number that is taken; a group that there is
///        not, with what may be meant; a hash with a colon or a line feed)
base::Result<Accounts> with_accounts(Accounts accounts, const std::vector<manifest::User>& users,
                                     const std::vector<manifest::Group>& groups);

base::Result<Accounts> read_accounts(const Draft& root);

/// Writes what with_accounts() makes of the root's accounts, the users' homes and their keys.
base::Result<Accounts> add_accounts(Draft& root, const manifest::Manifest& manifest);

}  // namespace builder::root
