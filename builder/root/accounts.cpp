#include "builder/root/accounts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/lines.hpp"
#include "base/suggest.hpp"

namespace builder::root {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::uint32_t first_free_number = 1000;
constexpr std::uint32_t last_free_number = 59999;  // Debian Policy 9.2.2
constexpr const char* shadow_rest = "::0:99999:7:::";

/// The fields of the line that begins with this name.
std::optional<std::vector<std::string>> line_of(const std::string& file, const std::string& name) {
  for (const std::string_view line : base::lines_of(file)) {
    if (line.starts_with(name + ":")) return base::split(line, ':');
  }
  return std::nullopt;
}

/// The numbers in the third field of each line.
std::set<std::uint32_t> numbers_in(const std::string& file) {
  std::set<std::uint32_t> numbers;
  for (const std::string_view line : base::lines_of(file)) {
    const std::vector<std::string> fields = base::split(line, ':');
    const auto number = fields.size() > 2 ? number_in(fields[2]) : std::nullopt;
    if (number) numbers.insert(*number);
  }
  return numbers;
}

std::vector<std::string> names_in(const std::string& file) {
  std::vector<std::string> names;
  for (const std::string_view line : base::lines_of(file)) names.emplace_back(line.substr(0, line.find(':')));
  return names;
}

/// Adds a user to the last field of a group's line.
std::string with_member(const std::string& file, const std::string& group, const std::string& user) {
  std::string changed;
  for (const std::string_view line : base::lines_of(file)) {
    changed += line;
    if (line.starts_with(group + ":")) changed += (line.ends_with(':') ? "" : ",") + user;
    changed += '\n';
  }
  return changed;
}

class AccountWriter {
 public:
  AccountWriter(Accounts accounts, const std::vector<manifest::User>& users, const std::vector<manifest::Group>& groups)
      : accounts_(std::move(accounts)), uids_(numbers_in(accounts_.passwd)), gids_(numbers_in(accounts_.group)) {
    for (const manifest::User& user : users) {
      if (user.uid) reserved_.insert(*user.uid);
    }
    for (const manifest::Group& group : groups) {
      if (group.gid) reserved_.insert(*group.gid);
    }
  }

  Result<> add(const manifest::Group& group) {
    if (const auto there = find_group(accounts_, group.name)) {
      if (!group.gid || *group.gid == *there) return base::ok();
      return fail(Kind::invalid_input, fmt::format("group {}: it is there already, with the number {} instead of {}",
                                                   group.name, *there, *group.gid));
    }
    if (group.gid && gids_.contains(*group.gid)) {
      return fail(Kind::invalid_input, fmt::format("group {}: the number {} is taken", group.name, *group.gid));
    }
    TRY(const std::uint32_t gid, group.gid ? *group.gid : free_number());
    append_group(group.name, gid);
    return base::ok();
  }

  Result<> add(const manifest::User& user) {
    if (find_user(accounts_, user.name)) return wrong(user, "there is such a user already");
    if (user.uid && uids_.contains(*user.uid)) return wrong(user, fmt::format("the number {} is taken", *user.uid));
    if (user.password_hash && user.password_hash->find_first_of(":\n") != std::string::npos) {
      return wrong(user, "password_hash is no hash as in shadow(5)");
    }
    TRY(const std::uint32_t uid, user.uid ? *user.uid : free_number());
    uids_.insert(uid);
    auto gid = find_group(accounts_, user.name);
    if (!gid) {
      TRY(gid, gids_.contains(uid) ? free_number() : uid);
      append_group(user.name, *gid);
    }
    const std::string home = user.home.value_or("/home/" + user.name);
    accounts_.passwd += fmt::format("{}:x:{}:{}::{}:{}\n", user.name, uid, *gid, home, user.shell);
    accounts_.shadow += fmt::format("{}:{}{}\n", user.name, user.password_hash.value_or("!*"), shadow_rest);
    for (const std::string& group : user.groups) {
      if (!find_group(accounts_, group)) {
        const auto meant = base::did_you_mean(group, names_in(accounts_.group));
        return wrong(user, fmt::format("there is no group {}{}", group,
                                       meant ? fmt::format("; did you mean \"{}\"?", *meant) : ""));
      }
      accounts_.group = with_member(accounts_.group, group, user.name);
      accounts_.gshadow = with_member(accounts_.gshadow, group, user.name);
    }
    return base::ok();
  }

  Accounts done() { return std::move(accounts_); }

 private:
  static Result<> wrong(const manifest::User& user, const std::string& what) {
    return fail(Kind::invalid_input, fmt::format("{}: user {}: {}", user.place.text(), user.name, what));
  }

  Result<std::uint32_t> free_number() const {
    for (std::uint32_t number = first_free_number; number <= last_free_number; ++number) {
      if (!uids_.contains(number) && !gids_.contains(number) && !reserved_.contains(number)) return number;
    }
    return fail(Kind::invalid_input, "there is no free number from 1000 to 59999");
  }

  void append_group(const std::string& name, std::uint32_t gid) {
    accounts_.group += fmt::format("{}:x:{}:\n", name, gid);
    accounts_.gshadow += fmt::format("{}:!::\n", name);
    gids_.insert(gid);
  }

  Accounts accounts_;
  std::set<std::uint32_t> uids_;
  std::set<std::uint32_t> gids_;
  std::set<std::uint32_t> reserved_;
};

struct AccountFile {
  const char* path;
  std::string Accounts::* text;
  std::uint16_t permissions;
};
constexpr std::array account_files = {
    AccountFile{"/etc/passwd", &Accounts::passwd, 0644},
    AccountFile{"/etc/group", &Accounts::group, 0644},
    AccountFile{"/etc/shadow", &Accounts::shadow, 0640},
    AccountFile{"/etc/gshadow", &Accounts::gshadow, 0640},
};

Result<> make_home(Draft& root, const manifest::User& user, const UserEntry& entry) {
  TRY_DO(root.directory(entry.home, {0700, entry.uid, entry.gid}));
  if (user.ssh_keys.empty()) return base::ok();
  TRY_DO(root.directory(entry.home + "/.ssh", {0700, entry.uid, entry.gid}));
  return root.write(entry.home + "/.ssh/authorized_keys", fmt::format("{}\n", fmt::join(user.ssh_keys, "\n")),
                    {0600, entry.uid, entry.gid});
}

}  // namespace

std::optional<std::uint32_t> number_in(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<UserEntry> find_user(const Accounts& accounts, const std::string& name) {
  const auto fields = line_of(accounts.passwd, name);
  if (!fields || fields->size() < 6) return std::nullopt;
  const auto uid = number_in((*fields)[2]);
  const auto gid = number_in((*fields)[3]);
  if (!uid || !gid) return std::nullopt;
  return UserEntry{*uid, *gid, (*fields)[5]};
}

std::optional<std::uint32_t> find_group(const Accounts& accounts, const std::string& name) {
  const auto fields = line_of(accounts.group, name);
  return fields && fields->size() > 2 ? number_in((*fields)[2]) : std::nullopt;
}

Result<Accounts> with_accounts(Accounts accounts, const std::vector<manifest::User>& users,
                               const std::vector<manifest::Group>& groups) {
  AccountWriter writer(std::move(accounts), users, groups);
  for (const manifest::Group& group : groups) TRY_DO(writer.add(group));
  for (const manifest::User& user : users) TRY_DO(writer.add(user));
  return writer.done();
}

Result<Accounts> read_accounts(const Draft& root) {
  Accounts accounts;
  for (const AccountFile& file : account_files) {
    TRY(auto text, root.read(file.path));
    std::string& into = accounts.*file.text;
    into = std::move(text).value_or("");
    if (!into.empty() && !into.ends_with('\n')) into += '\n';
  }
  return accounts;
}

Result<Accounts> add_accounts(Draft& root, const manifest::Manifest& manifest) {
  TRY(const Accounts before, read_accounts(root));
  TRY(Accounts accounts, with_accounts(before, manifest.users, manifest.groups));
  const std::uint32_t shadow_group = find_group(accounts, "shadow").value_or(0);
  for (const AccountFile& file : account_files) {
    if (before.*file.text == accounts.*file.text) continue;
    const bool secret = file.permissions == 0640;
    TRY_DO(root.write(file.path, accounts.*file.text, {file.permissions, 0, secret ? shadow_group : 0}));
  }
  for (const manifest::User& user : manifest.users) {
    TRY_DO(make_home(root, user, *find_user(accounts, user.name)), user.place.text());
  }
  return accounts;
}

}  // namespace builder::root
