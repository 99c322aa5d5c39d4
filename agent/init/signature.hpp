#pragma once

#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"

namespace agent::init {

/// The begin of a signature partition (image::signature_block_size), if that is what this version was signed with.
/// Whose signature it is was looked at when the version was built and when it was installed; here the command line,
/// which the firmware has verified, vouches for it.
/// Fails: untrusted (it is another one); corrupt (a shorter partition); not_found, permission, io.
base::Result<base::Bytes> read_signature(const std::string& device, const base::Sha256Digest& expected);

/// The PKCS#7 in it. Reads the one form that verity::SignaturePartition writes, and only after read_signature() has
/// found it to be that. Nothing: it is another one.
std::optional<base::Bytes> pkcs7_in(base::ByteView signature_block);

/// Puts a PKCS#7 where dm-verity looks for it, for as long as this program runs, and returns the name of that key.
/// Fails: unsupported (a kernel without keys), no_space, permission, io.
base::Result<std::string> give_to_kernel(base::ByteView pkcs7);

}  // namespace agent::init
