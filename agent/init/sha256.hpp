#pragma once

#include "base/bytes.hpp"
#include "base/digest.hpp"

namespace agent::init {

/// As base::sha256(), for a program that carries its libraries with it: OpenSSL's EVP, which that goes through, brings
/// all that OpenSSL can, 3.6 MB of it. This is the function behind it, and nothing else.
base::Sha256Digest static_sha256(base::ByteView bytes);

}  // namespace agent::init
