#include "verity/device_table.hpp"

#include <linux/dm-ioctl.h>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <utility>
#include <vector>

#include "base/bytes.hpp"

namespace verity {

using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::string_view uuid_prefix = "CRYPT-VERITY-";
static_assert(uuid_prefix.size() + 32 + 1 + max_activated_name + 1 == DM_UUID_LEN);

constexpr std::size_t max_line = std::size_t{16} * 1024;  // two paths of PATH_MAX, the salt and the options fit in
constexpr std::size_t max_word = 4096;                    // PATH_MAX; a salt has 512 digits

// Names from Linux, drivers/md/dm-verity-target.c, dm-verity-fec.h and dm-verity-verify-sig.h.
constexpr std::string_view restart_option = "restart_on_corruption";
constexpr std::string_view panic_option = "panic_on_corruption";
constexpr std::string_view ignore_option = "ignore_corruption";
constexpr std::string_view zero_blocks_option = "ignore_zero_blocks";
constexpr std::string_view first_read_option = "check_at_most_once";
constexpr std::string_view fec_device_option = "use_fec_from_device";
constexpr std::string_view fec_start_option = "fec_start";
constexpr std::string_view fec_blocks_option = "fec_blocks";
constexpr std::string_view fec_roots_option = "fec_roots";
constexpr std::string_view signature_option = "root_hash_sig_key_desc";

constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#+-.:=@_";

constexpr std::uint32_t min_fec_roots = 2;
constexpr std::uint32_t max_fec_roots = 24;

/// What device-mapper takes for one word: it splits at blanks and reads a backslash as an escape.
Result<> check_word(std::string_view what, std::string_view word) {
  if (word.empty()) return fail(Kind::invalid_input, std::string(what) + " is empty");
  if (word.size() >= max_word) {
    return fail(Kind::invalid_input, std::string(what) + " is longer than " + std::to_string(max_word) + " characters");
  }
  const bool plain = std::ranges::all_of(word, [](char c) { return c > ' ' && c != '\\' && c != '\x7f'; });
  if (!plain) {
    return fail(Kind::invalid_input, std::string(what) +
                                         " holds a blank, a backslash or a character beyond ASCII, which a "
                                         "device-mapper table cannot carry");
  }
  return ok();
}

Result<> check_error_correction(const ErrorCorrection& fec, const Geometry& geometry) {
  TRY_DO(check_word("the error correction device", fec.device));
  if (geometry.params().data_block_size != geometry.params().hash_block_size) {
    return fail(Kind::invalid_input, "error correction needs data and hash blocks of one size");
  }
  if (fec.roots < min_fec_roots || fec.roots > max_fec_roots) {
    return fail(Kind::invalid_input, std::to_string(fec.roots) + " error correction roots; the kernel takes 2 to 24");
  }
  const std::uint64_t covered = geometry.data_blocks() + geometry.tree_blocks();
  if (fec.blocks < covered) {
    return fail(Kind::invalid_input, "error correction over " + std::to_string(fec.blocks) +
                                         " blocks does not cover the " + std::to_string(covered) + " of data and tree");
  }
  return ok();
}

Result<> check(const Table& table) {
  TRY_DO(check_word("the data device", table.data_device));
  TRY_DO(check_word("the hash device", table.hash_device));
  const std::uint64_t blocks_before_tree =
      base::divide_rounding_up(table.geometry.data_bytes(), table.geometry.params().hash_block_size);
  if (table.data_device == table.hash_device && table.hash_start_block < blocks_before_tree) {
    return fail(Kind::invalid_input, "the tree at hash block " + std::to_string(table.hash_start_block) +
                                         " lies inside the data of " + table.data_device);
  }
  if (table.options.error_correction) {
    TRY_DO(check_error_correction(*table.options.error_correction, table.geometry));
  }
  if (!table.options.root_hash_signature_key.empty()) {
    TRY_DO(check_word("the root hash signature key", table.options.root_hash_signature_key));
  }
  return ok();
}

std::vector<std::string> option_words(const TableOptions& options) {
  std::vector<std::string> words;
  switch (options.on_corruption) {
    case OnCorruption::fail_read:
      break;
    case OnCorruption::restart:
      words.emplace_back(restart_option);
      break;
    case OnCorruption::panic:
      words.emplace_back(panic_option);
      break;
    case OnCorruption::ignore:
      words.emplace_back(ignore_option);
      break;
  }
  if (options.zero_blocks == ZeroBlocks::assume) words.emplace_back(zero_blocks_option);
  if (options.check_data == CheckData::first_read) words.emplace_back(first_read_option);
  if (const auto& fec = options.error_correction) {
    for (std::string word : {std::string(fec_device_option), fec->device, std::string(fec_start_option),
                             std::to_string(fec->start_block), std::string(fec_blocks_option),
                             std::to_string(fec->blocks), std::string(fec_roots_option), std::to_string(fec->roots)}) {
      words.push_back(std::move(word));
    }
  }
  if (!options.root_hash_signature_key.empty()) {
    words.emplace_back(signature_option);
    words.push_back(options.root_hash_signature_key);
  }
  return words;
}

/// Takes words off a line from the kernel, one after the other.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  bool at_end() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    return rest_.empty();
  }

  Result<std::string_view> word(std::string_view what) {
    if (at_end()) return fail(Kind::corrupt, "the kernel's line ends before " + std::string(what));
    const std::string_view taken = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(taken.size());
    if (taken.size() >= max_word) return fail(Kind::corrupt, std::string(what) + " is too long");
    return taken;
  }

  /// Whether exactly `word` is all that is left.
  bool only(std::string_view word) { return !at_end() && rest_ == word; }

  template <std::unsigned_integral T>
  Result<T> number(std::string_view what) {
    TRY(const std::string_view text, word(what));
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      return fail(Kind::corrupt, std::string(what) + " is no number: \"" + std::string(text.substr(0, 40)) + "\"");
    }
    return value;
  }

 private:
  std::string_view rest_;
};

Result<base::Bytes> parse_salt(std::string_view text) {
  if (text == "-") return base::Bytes();
  auto salt = base::from_hex(text);
  if (!salt) return fail(Kind::corrupt, "the salt of the verity table: " + salt.error().message());
  return std::move(*salt);
}

Result<Geometry> parse_geometry(std::uint32_t data_block_size, std::uint32_t hash_block_size, std::uint64_t data_blocks,
                                std::string_view salt_text) {
  TRY(base::Bytes salt, parse_salt(salt_text));
  auto geometry = Geometry::of({data_block_size, hash_block_size, std::move(salt)}, data_blocks);
  if (!geometry) return fail(Kind::corrupt, "the verity table is impossible: " + geometry.error().message());
  return std::move(*geometry);
}

Result<TableOptions> parse_options(Words words) {
  TableOptions options;
  if (words.at_end()) return options;
  TRY_DO(words.number<std::uint32_t>("the number of options"));
  const auto fec = [&options]() -> ErrorCorrection& {
    return options.error_correction ? *options.error_correction : options.error_correction.emplace();
  };
  while (!words.at_end()) {
    TRY(const std::string_view option, words.word("an option"));
    if (option == restart_option) {
      options.on_corruption = OnCorruption::restart;
    } else if (option == panic_option) {
      options.on_corruption = OnCorruption::panic;
    } else if (option == ignore_option) {
      options.on_corruption = OnCorruption::ignore;
    } else if (option == zero_blocks_option) {
      options.zero_blocks = ZeroBlocks::assume;
    } else if (option == first_read_option) {
      options.check_data = CheckData::first_read;
    } else if (option == fec_device_option) {
      TRY(fec().device, words.word(option));
    } else if (option == fec_start_option) {
      TRY(fec().start_block, words.number<std::uint64_t>(option));
    } else if (option == fec_blocks_option) {
      TRY(fec().blocks, words.number<std::uint64_t>(option));
    } else if (option == fec_roots_option) {
      TRY(fec().roots, words.number<std::uint32_t>(option));
    } else if (option == signature_option) {
      TRY(options.root_hash_signature_key, words.word(option));
    }
  }
  if (options.error_correction && options.error_correction->device.empty()) {
    return fail(Kind::corrupt, "the verity table has error correction without a device");
  }
  return options;
}

}  // namespace

Result<std::string> table_line(const Table& table) {
  TRY_DO(check(table), "making a verity table");
  const HashTreeParams& params = table.geometry.params();
  std::string line = "1 " + table.data_device + " " + table.hash_device + " " + std::to_string(params.data_block_size) +
                     " " + std::to_string(params.hash_block_size) + " " + std::to_string(table.geometry.data_blocks()) +
                     " " + std::to_string(table.hash_start_block) + " sha256 " + table.root_hash.hex() + " " +
                     (params.salt.empty() ? "-" : base::to_hex(params.salt));
  const std::vector<std::string> options = option_words(table.options);
  if (!options.empty()) line += " " + std::to_string(options.size());
  for (const std::string& option : options) line += " " + option;
  return line;
}

Result<Table> parse_table_line(std::string_view line) {
  if (line.size() > max_line) {
    return fail(Kind::corrupt, "a verity table of " + std::to_string(line.size()) + " bytes");
  }
  Words words(line);
  TRY(const auto hash_type, words.number<std::uint32_t>("the hash type"));
  if (hash_type != 1) {
    return fail(Kind::unsupported, "verity hash type " + std::to_string(hash_type) + "; 1 is supported");
  }
  TRY(const std::string_view data_device, words.word("the data device"));
  TRY(const std::string_view hash_device, words.word("the hash device"));
  TRY(const auto data_block_size, words.number<std::uint32_t>("the data block size"));
  TRY(const auto hash_block_size, words.number<std::uint32_t>("the hash block size"));
  TRY(const auto data_blocks, words.number<std::uint64_t>("the number of data blocks"));
  TRY(const auto hash_start_block, words.number<std::uint64_t>("the start of the tree"));
  TRY(const std::string_view algorithm, words.word("the hash algorithm"));
  if (algorithm != "sha256") {
    return fail(Kind::unsupported,
                "hash algorithm \"" + std::string(algorithm.substr(0, 40)) + "\"; sha256 is supported");
  }
  TRY(const std::string_view root_text, words.word("the root hash"));
  auto root_hash = RootHash::parse(root_text);
  if (!root_hash) return fail(Kind::corrupt, "the verity table: " + root_hash.error().message());
  TRY(const std::string_view salt, words.word("the salt"));
  TRY(Geometry geometry, parse_geometry(data_block_size, hash_block_size, data_blocks, salt));
  TRY(TableOptions options, parse_options(words));
  return Table{std::string(data_device), std::string(hash_device), std::move(geometry), hash_start_block, *root_hash,
               std::move(options)};
}

Result<TargetStatus> parse_target_status(std::string_view line) {
  Words words(line.substr(0, max_line));
  TRY(const std::string_view verdict, words.word("the status"));
  TargetStatus status;
  if (verdict == "C") {
    status.integrity = Integrity::corrupted;
  } else if (verdict != "V") {
    return fail(Kind::corrupt, "the status is neither V nor C: \"" + std::string(verdict.substr(0, 40)) + "\"");
  }
  if (words.at_end() || words.only("-")) return status;
  TRY(status.corrected_blocks, words.number<std::uint64_t>("the number of corrected blocks"));
  return status;
}

Result<> check_device_name(std::string_view name) {
  const bool plain = name.find_first_not_of(name_characters) == std::string_view::npos;
  if (name.empty() || name.size() >= DM_NAME_LEN || !plain || name == "." || name == ".." || name == DM_CONTROL_NODE) {
    return fail(Kind::invalid_input, "\"" + std::string(name.substr(0, DM_NAME_LEN)) +
                                         "\" is no device-mapper name (1 to 127 letters, digits and #+-.:=@_)");
  }
  return ok();
}

Result<std::string> device_uuid(std::string_view name, const base::Uuid& superblock_uuid) {
  TRY_DO(check_device_name(name));
  if (name.size() > max_activated_name) {
    return fail(Kind::invalid_input, "the device name " + std::string(name) + " is longer than the " +
                                         std::to_string(max_activated_name) + " characters that leave room for a UUID");
  }
  return std::string(uuid_prefix) + base::to_hex(superblock_uuid.bytes) + "-" + std::string(name);
}

}  // namespace verity
