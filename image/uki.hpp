#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// What a Unified Kernel Image carries besides the stub; none of it may be empty. Views: the bytes must outlive them.
struct UkiParts {
  base::ByteView os_release;  // .osrel: text, where the boot loader finds title and version
  base::ByteView cmdline;     // .cmdline: text, without NUL or a line feed that is not meant
  base::ByteView uname;       // .uname: text, the kernel's release as uname -r prints it
  base::ByteView initrd;      // .initrd: one or more cpio archives
  base::ByteView kernel;      // .linux: the bzImage
};

/// A UKI taken apart: `parts` are views into what was split.
struct SplitUki {
  base::Bytes stub;
  UkiParts parts;
};

/// Puts the parts behind systemd's EFI stub (package systemd-boot-efi, linuxx64.efi.stub), unsigned. The same input
/// gives the same bytes, whoever runs it and when.
///
/// Layout: the stub's headers and sections as they are, without what follows them (the symbol table); then .osrel,
/// .cmdline, .uname, .initrd, .linux in this order, small ones first, each at the next page (4096 bytes) in memory, the
/// first behind the last of the stub's, and at the next multiple of FileAlignment in the file. VirtualSize is the exact
/// length of the content, and what is measured into PCR 11; the fill is zero. The stub measures in an order of its own.
/// .linux is marked as code and not as data, since a stub starts a kernel without PE entry point where it lies.
/// The time in the header stays the stub's (Debian: 0); sizes and the checksum are computed anew.
///
/// Fails: corrupt, unsupported (read_pe_headers); invalid_input (the stub is signed, is not for x86-64 or no EFI
///        application, has one of these sections already, has no room for their headers; an empty part, a NUL in a
///        text, more than 32-bit fields can say).
/// Source: UAPI.5 "Unified Kernel Image"; systemd, linuxx64.efi.stub(7)
base::Result<base::Bytes> assemble_uki(base::ByteView stub, const UkiParts& parts);

/// The way back, for an unsigned UKI (see detach_signature) that assemble_uki() made: assembling the stub and the parts
/// gives `uki` again, which has been tried when this returns. The stub is the one given then but for its symbol table
/// and the fields that assemble_uki() computes.
/// Fails: as above; unsupported (somebody else assembled it).
base::Result<SplitUki> split_uki(base::ByteView uki);

/// A stub whose .sbat section says more: the stub's own lines, then `lines`. The section moves behind the stub's last
/// one, since its neighbours leave it no room to grow (Debian 12: 30 bytes), and the bytes of the old one are taken
/// out. A stub without the section gets one, opened by the line that the format demands.
///
/// lines   CSV with six fields, each ended by a line feed: component, generation, vendor, package, version, URL
/// Fails: as assemble_uki(); invalid_input (a line that is none).
/// Source: github.com/rhboot/shim/blob/main/SBAT.md
base::Result<base::Bytes> extend_sbat(base::ByteView stub, std::string_view lines);

}  // namespace image
