#include "image/verify_image.hpp"

#include <functional>

#include <gmock/gmock.h>

#include "image/discoverable_partitions.hpp"
#include "tests/image/disk_data.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"

namespace {

using base::Kind;
using disk_data::certificate;
using disk_data::Parts;
using disk_data::Recipe;
using image::Check;
using image::mib;
using image::Outcome;
using support::FailsWith;
using support::flip_byte;
using support::Succeeds;
using testing::HasSubstr;

image::Trust usual_trust() {
  return {.root_hash = {certificate("rsa-2048")}, .secure_boot = {certificate("rsa-3072")}};
}

base::Result<image::ImageReport> verified(const std::string& path, const image::Trust& trust = usual_trust()) {
  TRY(const auto disk, base::FileDevice::open(path, base::Access::read_only));
  return image::verify_image(*disk, trust);
}

/// "name: what is wrong" of each check that is not ok; a skipped one with a question mark.
std::vector<std::string> objections(const base::Result<image::ImageReport>& report) {
  EXPECT_THAT(report, Succeeds());
  std::vector<std::string> lines;
  if (!report) return lines;
  for (const Check& check : report->checks) {
    if (check.outcome == Outcome::ok) continue;
    lines.push_back(check.name + (check.outcome == Outcome::skipped ? "? " : ": ") + check.object + ": " +
                    check.detail);
  }
  EXPECT_EQ(report->genuine(), lines.empty());
  return lines;
}

/// Of a small disk: 1 MiB margin, ESP of 40, then root 4, verity 1, signature 1, twice.
constexpr std::uint64_t root_at = 41 * mib;
constexpr std::uint64_t verity_at = 45 * mib;
constexpr std::uint64_t signature_at = 46 * mib;

void write_at(const std::string& path, std::uint64_t offset, base::ByteView bytes) {
  const auto device = base::FileDevice::open(path, base::Access::read_write);
  ASSERT_THAT((*device)->write(offset, bytes), Succeeds());
}

void change(const std::string& path, const std::vector<image::PartitionChange>& changes) {
  const auto device = base::FileDevice::open(path, base::Access::read_write);
  ASSERT_THAT(image::change_partitions(**device, changes), Succeeds());
}

void write_signature(const std::string& path, const verity::SignaturePartition& content) {
  base::Bytes raw = content.encode().value();
  raw.resize(mib);
  write_at(path, signature_at, raw);
}

TEST(VerifyImage, FindsEveryLinkOfAGoodImage) {
  const Parts parts;
  const auto report = verified(parts.disk());
  ASSERT_THAT(report, Succeeds());
  EXPECT_TRUE(report->genuine());
  std::vector<std::string> found;
  for (const Check& check : report->checks) found.push_back(check.name + " " + check.object);
  const std::vector<std::string> expected = {
      "partition-table " + parts.directory.path("disk.raw"),
      "slots " + parts.directory.path("disk.raw"),
      "esp partition 1 (esp)",
      "boot-loader EFI/BOOT/BOOTX64.EFI",
      "boot-loader EFI/systemd/systemd-bootx64.efi",
      "uki EFI/Linux",
      "uki-name EFI/Linux/node_1.0.0+3-0.efi",
      "uki-signature EFI/Linux/node_1.0.0+3-0.efi",
      "uki-root-hash EFI/Linux/node_1.0.0+3-0.efi",
      "uki-slot EFI/Linux/node_1.0.0+3-0.efi",
      "superblock partition 3 (node_1.0.0)",
      "salt partition 3 (node_1.0.0)",
      "hash-tree partition 2 (node_1.0.0)",
      "signature-partition partition 4 (node_1.0.0)",
      "root-hash-signature partition 4 (node_1.0.0)",
      "slot slot B",
  };
  EXPECT_EQ(found, expected);
}

TEST(VerifyImage, TellsHowFarItIs) {
  const Parts parts;
  const auto disk = base::FileDevice::open(parts.disk(), base::Access::read_only);
  std::atomic<std::uint64_t> told = 0;
  std::uint64_t total = 0;
  ASSERT_THAT(image::verify_image(**disk, usual_trust(),
                                  {.watch =
                                       [&](const std::string&, std::uint64_t bytes) {
                                         total = bytes;
                                         return base::Advance([&](std::uint64_t done) { told += done; });
                                       }}),
              Succeeds());
  EXPECT_EQ(total, std::filesystem::file_size(parts.directory.path("root.erofs")));
  EXPECT_EQ(told, total);
}

/// What is done to a disk of the usual recipe, and what must be said about it: nothing more and nothing less.
struct Damage {
  const char* what;
  std::function<void(const Parts& parts, const std::string& disk)> apply;
  std::vector<std::string> objections;  // parts of them, in order
};

void expect_objections(const std::string& disk, const Damage& damage) {
  SCOPED_TRACE(damage.what);
  const std::vector<std::string> found = objections(verified(disk));
  std::vector<testing::Matcher<std::string>> expected;
  for (const std::string& part : damage.objections) expected.emplace_back(HasSubstr(part));
  EXPECT_THAT(found, testing::ElementsAreArray(expected));
}

TEST(VerifyImage, SaysWhichByteOfTheDiskIsWrong) {
  const Parts parts;
  const std::string whole = parts.disk("whole.raw");
  const auto other = *verity::RootHash::parse(std::string(64, '1'));
  const std::uint64_t end = std::filesystem::file_size(whole);
  const std::vector<Damage> cases = {
      {"primary table", [&](auto&, auto& disk) { flip_byte(disk, 512 + 40); }, {"partition-table: "}},
      {"entries of the backup",
       [&](auto&, auto& disk) { flip_byte(disk, end - 33 * std::uint64_t{512} + 60); },
       {"the backup is damaged: the checksum over its entries is wrong"}},
      {"tables that differ",
       [&](auto&, auto& disk) {
         base::Bytes primary(34 * std::size_t{512});
         ASSERT_THAT((*base::FileDevice::open(disk, base::Access::read_only))->read(0, primary), Succeeds());
         change(disk, {{.number = 1, .label = "boot"}});
         write_at(disk, 0, primary);
       },
       {"both copies are sound, but they differ"}},
      {"boot sector of the ESP",
       [&](auto&, auto& disk) { flip_byte(disk, mib + 510); },
       {"esp: partition 1 (esp): ", "slot: slot A: it is not empty, and no UKI names its root hash"}},
      {"UUID of the root",
       [&](auto&, auto& disk) { change(disk, {{.number = 2, .uuid = image::data_partition_uuid(other)}}); },
       {"uki-slot: EFI/Linux/node_1.0.0+3-0.efi: no slot has the UUIDs", "slot: slot A", "hash-tree: partition 2",
        "signature-partition: partition 4 (node_1.0.0): it is of the root hash", "root-hash-signature? "}},
      {"label",
       [&](auto&, auto& disk) { change(disk, {{.number = 3, .label = "node_2.0.0"}}); },
       {"uki-slot: EFI/Linux/node_1.0.0+3-0.efi: partition 3 of slot A has the label \"node_2.0.0\""}},
      {"type",
       [&](auto&, auto& disk) {
         const auto device = base::FileDevice::open(disk, base::Access::read_write);
         image::PartitionTable table = image::read_partition_table(**device)->table;
         table.partitions[5].type = image::partition_type::linux_generic;
         ASSERT_THAT(image::write_partition_table(**device, table), Succeeds());
       },
       {"slots: "}},
      {"superblock",
       [&](auto&, auto& disk) { flip_byte(disk, verity_at); },
       {"superblock: partition 3 (node_1.0.0): ", "salt? ", "hash-tree? "}},
      {"hash tree",
       [&](auto&, auto& disk) { flip_byte(disk, verity_at + 8192 + 5); },
       {"hash-tree: partition 2 (node_1.0.0): 1 block does not match the root hash, first hash block 1 (level 0) at "
        "offset 8192 of partition 3 (node_1.0.0); of 128 data blocks below bad hash blocks nothing can be said"}},
      {"data",
       [&](auto&, auto& disk) { flip_byte(disk, root_at + 17 * std::uint64_t{4096}); },
       {"hash-tree: partition 2 (node_1.0.0): 1 block does not match the root hash, first data block 17 at offset "
        "69632 of partition 2 (node_1.0.0)"}},
      {"no signature",
       [&](auto&, auto& disk) { write_at(disk, signature_at, base::Bytes(mib)); },
       {"signature-partition: partition 4 (node_1.0.0): partition 4 (node_1.0.0): a verity signature partition: it is "
        "empty",
        "root-hash-signature? "}},
      {"signature of another root hash",
       [&](auto& of, auto& disk) {
         auto content = *of.parts().signature;
         content.root_hash = other;
         write_signature(disk, content);
       },
       {"signature-partition: partition 4 (node_1.0.0): it is of the root hash 1111", "root-hash-signature? "}},
      {"signature damaged",
       [&](auto& of, auto& disk) {
         auto content = *of.parts().signature;
         content.signature.back() ^= std::byte{1};
         write_signature(disk, content);
       },
       {"root-hash-signature: partition 4 (node_1.0.0): "}},
      {"another fingerprint",
       [&](auto& of, auto& disk) {
         auto content = *of.parts().signature;
         content.certificate_fingerprint = std::string(64, '0');
         write_signature(disk, content);
       },
       {"root-hash-signature: partition 4 (node_1.0.0): the partition names the certificate 0000"}},
      {"name of the UKI",
       [&](auto&, auto& disk) {
         const auto renamed =
             support::run_program({"mren", "-i", disk + "@@1M", "::/EFI/Linux/node_1.0.0+3-0.efi", "NODE.efi"});
         ASSERT_EQ(renamed.exit_status, 0) << renamed.errors;
       },
       {"uki-name: EFI/Linux/NODE.EFI: \"NODE.EFI\" is no UKI"}},
      {"no fallback loader",
       [&](auto&, auto& disk) {
         ASSERT_EQ(support::run_program({"mdel", "-i", disk + "@@1M", "::/EFI/BOOT/BOOTX64.EFI"}).exit_status, 0);
       },
       {"boot-loader: EFI/BOOT/BOOTX64.EFI: it is not there"}},
      {"slot B is not empty",
       [&](auto&, auto& disk) {
         change(disk, {{.number = 5, .label = "node_2.0.0"},
                       {.number = 6, .label = "node_2.0.0"},
                       {.number = 7, .label = "node_2.0.0"}});
       },
       {"slot: slot B: it is not empty, and no UKI names", "superblock: partition 6", "salt? ", "hash-tree? ",
        "signature-partition: partition 7", "root-hash-signature? "}},
  };
  const std::string disk = parts.directory.path("disk.raw");
  for (const Damage& damage : cases) {
    std::filesystem::copy_file(whole, disk, std::filesystem::copy_options::overwrite_existing);
    damage.apply(parts, disk);
    expect_objections(disk, damage);
  }
}

TEST(VerifyImage, SaysWhichPartWasPutIn) {
  const Parts parts;
  const base::Bytes unsigned_uki = image::detach_signature(parts.uki()).value().pe;
  base::Bytes changed = parts.uki();
  changed[changed.size() / 2] ^= std::byte{1};
  const base::Bytes by_another = disk_data::signed_pe(unsigned_uki, "p256");
  const base::Bytes unsigned_loader = pe_data::file(pe_data::boot_loader_path);
  const auto with_uki = [](const base::Bytes& uki) {
    return [&uki](image::DiskParts& one) { one.esp.ukis[0].content = image::FatContent::view(uki); };
  };
  struct {
    const char* what;
    std::function<void(image::DiskParts&)> change;
    std::vector<std::string> objections;
  } const cases[] = {
      {"UKI changed", with_uki(changed), {"uki-signature: EFI/Linux/node_1.0.0+3-0.efi: the signature of a PE file"}},
      {"UKI not signed", with_uki(unsigned_uki), {"it carries no signature"}},
      {"UKI by another", with_uki(by_another), {"not among the 1 trusted"}},
      {"boot loader not signed",
       [&](auto& one) { one.esp.boot_loader = unsigned_loader; },
       {"boot-loader: EFI/BOOT/BOOTX64.EFI: ", "boot-loader: EFI/systemd/systemd-bootx64.efi: "}},
      {"another version's name",
       [](auto& one) { one.esp.ukis[0].name.version = "2.0.0"; },
       {"partition 2 of slot A has the label \"node_1.0.0\" instead of \"node_2.0.0\""}},
      {"no UKI", [](auto& one) { one.esp.ukis.clear(); }, {"uki: EFI/Linux: there is no UKI", "slot: slot A: "}},
      {"no signature", [](auto& one) { one.signature.reset(); }, {"signature-partition: ", "root-hash-signature? "}},
  };
  for (const auto& one : cases) {
    image::DiskParts changed_parts = parts.parts();
    one.change(changed_parts);
    const std::string disk = parts.directory.path("disk.raw");
    ASSERT_THAT(image::assemble_disk(changed_parts, parts.options(), disk), Succeeds());
    expect_objections(disk, {one.what, {}, one.objections});
  }
}

TEST(VerifyImage, SaysWhichPromiseTheBuilderBroke) {
  struct {
    const char* what;
    Recipe recipe;
    std::vector<std::string> objections;
  } const cases[] = {
      {"no root hash", {.cmdline = "quiet"}, {"uki-root-hash: ", "uki-slot? ", "slot: slot A: it is not empty"}},
      {"two root hashes",
       {.cmdline = "roothash=" + std::string(64, '0') + " roothash=" + std::string(64, '0')},
       {"names roothash= twice", "uki-slot? ", "slot: slot A: it is not empty"}},
      {"another root hash",
       {.cmdline = "roothash=" + std::string(64, '0')},
       {"uki-slot: EFI/Linux/node_1.0.0+3-0.efi: no slot has the UUIDs 00000000-0000", "slot: slot A: "}},
      {"another salt", {.salt = base::Bytes(32)}, {"salt: partition 3 (node_1.0.0): it is 0000"}},
      {"no salt", {.salt = base::Bytes()}, {"salt: partition 3 (node_1.0.0): it is empty"}},
      {"another key for root hashes",
       {.root_hash_key = "impostor-rsa-2048"},
       {"root-hash-signature: partition 4 (node_1.0.0): "}},
  };
  for (const auto& one : cases) {
    const Parts parts(one.recipe);
    expect_objections(parts.disk(), {one.what, {}, one.objections});
  }
}

TEST(VerifyImage, ComparesTheSignatureThatTheCommandLineNames) {
  const Parts parts;
  const std::string offset = std::to_string(signature_at / 4096);
  const auto judged = support::run_program(
      {"sh", "-c", "dd if=\"$1\" bs=4096 count=1 skip=" + offset + " status=none | sha256sum", "sh", parts.disk()});
  ASSERT_EQ(judged.exit_status, 0);
  const std::string digest = judged.output.substr(0, 64);
  const std::string root_hash = "roothash=" + parts.root_hash.hex();
  EXPECT_THAT(objections(verified(Parts({.cmdline = root_hash + " keelson.sig=" + digest}).disk())),
              testing::IsEmpty());
  const Parts others({.cmdline = root_hash + " keelson.sig=" + std::string(64, '0')});
  expect_objections(others.disk(),
                    {"another signature", {}, {"the signature on partition 4 (node_1.0.0) is not the one that"}});
  const Parts spoiled({.cmdline = root_hash + " keelson.sig=0"});
  expect_objections(spoiled.disk(), {"no digest", {}, {"uki-root-hash: ", "uki-slot? ", "slot: slot A: "}});
}

TEST(VerifyImage, NeedsSomebodyToBelieveAndADisk) {
  const Parts parts;
  const std::string disk = parts.disk();
  EXPECT_THAT(verified(disk, {.root_hash = {certificate("rsa-2048")}}),
              FailsWith(Kind::invalid_input, HasSubstr("one for Secure Boot")));
  EXPECT_THAT(verified(parts.directory.path("root.erofs")), FailsWith(Kind::not_found, HasSubstr("there is no GPT")));
}

}  // namespace
