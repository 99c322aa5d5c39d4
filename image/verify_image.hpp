#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/advance.hpp"
#include "base/block_device.hpp"
#include "base/result.hpp"
#include "verity/certificate.hpp"

namespace image {

/// Whom to believe.
struct Trust {
  std::vector<verity::Certificate> root_hash;    // those who may sign a root hash
  std::vector<verity::Certificate> secure_boot;  // those who may sign what the firmware starts
};

enum class Outcome {
  ok,
  failed,
  skipped,  // something else has failed that it hangs on
};

/// One link of the chain.
struct Check {
  std::string name;    // for machines: "uki-signature"; see verify_image()
  std::string object;  // what was looked at: "EFI/Linux/node_1.0.0+3-0.efi", "slot A", "partition 3 (node_1.0.0)"
  Outcome outcome = Outcome::ok;
  std::string detail;  // what was found, or what is wrong
};

struct ImageReport {
  std::vector<Check> checks;

  /// Nothing failed and nothing was skipped.
  bool genuine() const;
  std::size_t count(Outcome outcome) const;
};

struct VerifyImageOptions {
  unsigned threads = 0;  // 0: one for each available processor
  /// Told what is about to be read, and how much of it; whoever is returned is then told how far it is. May be empty.
  std::function<base::Advance(const std::string& what, std::uint64_t bytes)> watch;
};

/// Follows the chain of trust of a disk image from the firmware to the last data block, offline and without root. Goes
/// on after a link that fails, so that all that is wrong is told at once. The links, by name:
///
/// partition-table      both headers and both arrays of entries are sound and agree
/// slots                both slots are there
/// esp                  its file system can be read
/// boot-loader          EFI/BOOT/BOOTX64.EFI and EFI/systemd/systemd-bootx64.efi: signed by a trusted certificate
/// uki                  there is one at least
/// uki-name             <id>_<version>[+<left>-<done>].efi
/// uki-signature        Authenticode, by a trusted certificate
/// uki-root-hash        its command line names a root hash, once
/// uki-slot             exactly one slot has the UUIDs that are cut from that root hash, the UKI's label, and the
///                      signature that the command line names, if it does
/// superblock           of the hash tree: sound, its tree fits its partition, its data the root partition
/// salt                 the one that is derived from the image's id
/// hash-tree            every hash block and every data block, from the root hash down
/// signature-partition  can be read, and is of this root hash
/// root-hash-signature  by a trusted certificate, the one whose fingerprint it carries
/// slot                 a slot that no UKI names is empty
///
/// Whether the certificates have expired is not looked at. The zeros behind the image in its slot count for nothing.
/// Fails: not_found (no partition table); corrupt, unsupported (neither copy of it can be read); io; invalid_input (no
///        certificate to believe).
base::Result<ImageReport> verify_image(base::BlockDevice& disk, const Trust& trust,
                                       const VerifyImageOptions& options = {});

}  // namespace image
