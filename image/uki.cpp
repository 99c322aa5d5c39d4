#include "image/uki.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "image/pe.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;
using base::store_le;

namespace {

constexpr std::uint32_t page_size = 4096;
constexpr std::uint64_t max_field = std::numeric_limits<std::uint32_t>::max();

constexpr std::uint32_t contains_code = 0x00000020;
constexpr std::uint32_t contains_data = 0x00000040;
constexpr std::uint32_t readable = 0x40000000;

constexpr std::string_view sbat_name = ".sbat";
constexpr std::string_view sbat_first_line =
    "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n";
constexpr std::size_t sbat_fields = 6;

enum class Content { binary, text };

/// What the parts become, in the order of the file.
struct PartSection {
  std::string_view name;
  ByteView UkiParts::* part;
  Content content;
  std::uint32_t characteristics;
};
constexpr std::array<PartSection, 5> part_sections{{
    {".osrel", &UkiParts::os_release, Content::text, contains_data | readable},
    {".cmdline", &UkiParts::cmdline, Content::text, contains_data | readable},
    {".uname", &UkiParts::uname, Content::text, contains_data | readable},
    {".initrd", &UkiParts::initrd, Content::binary, contains_data | readable},
    {".linux", &UkiParts::kernel, Content::binary, contains_code | readable},
}};

std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return base::divide_rounding_up(value, alignment) * alignment;
}

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

/// An unsigned PE file that ends with its last section, while sections come and go. Its headers' sums are stale until
/// finish().
class Assembly {
 public:
  /// Takes up a stub; whatever follows its sections stays behind.
  static Result<Assembly> of(ByteView stub);

  /// Fails: invalid_input (the name is taken, no room for the header, too large).
  Result<> append(std::string_view name, ByteView content, std::uint32_t characteristics);
  /// Takes out a section of the table, with its bytes. What follows in the file moves up; in memory its place stays
  /// empty.
  void remove(std::size_t index);
  ByteView content(const PeSection& section) const { return content_of(section, file_); }
  const PeHeaders& headers() const { return headers_; }
  Bytes finish() &&;

 private:
  Assembly(PeHeaders headers, ByteView file) : headers_(std::move(headers)), file_(file.begin(), file.end()) {}

  std::size_t header_of(std::size_t index) const { return headers_.section_table + index * pe_section_header_size; }
  Result<> check_room(std::string_view name) const;

  PeHeaders headers_;
  Bytes file_;
};

Result<> check_stub(const PeHeaders& headers) {
  if (headers.machine != pe_machine_x86_64) {
    return fail(Kind::invalid_input, "Machine is " + std::to_string(headers.machine) + "; x86-64 (34404) is wanted");
  }
  if (headers.subsystem != pe_subsystem_efi_application) {
    return fail(Kind::invalid_input,
                "Subsystem is " + std::to_string(headers.subsystem) + "; an EFI application (10) is wanted");
  }
  if (headers.certificate_table_size != 0) {
    return fail(Kind::invalid_input, "it is signed; changing it would break the signature: detach that first");
  }
  // Firmware may refuse less (512 is what the format demands); without this, section data would get gaps.
  if (headers.file_alignment < 512 || headers.end_of_sections() % headers.file_alignment != 0 ||
      headers.size_of_headers % headers.file_alignment != 0) {
    return fail(Kind::invalid_input, "its sections end at " + std::to_string(headers.end_of_sections()) +
                                         ", FileAlignment is " + std::to_string(headers.file_alignment) +
                                         "; a multiple of at least 512 is wanted");
  }
  return base::ok();
}

Result<Assembly> Assembly::of(ByteView stub) {
  TRY(PeHeaders headers, read_pe_headers(stub));
  TRY_DO(check_stub(headers));
  const ByteView kept = stub.first(headers.end_of_sections());
  return Assembly(std::move(headers), kept);
}

Result<> Assembly::check_room(std::string_view name) const {
  const std::size_t begin = header_of(headers_.sections.size());
  const std::size_t end = begin + pe_section_header_size;
  const std::string what = "its header has no room for the section " + std::string(name) + ": ";
  if (end > headers_.size_of_headers) {
    return fail(Kind::invalid_input, what + "SizeOfHeaders is " + std::to_string(headers_.size_of_headers) +
                                         ", the section table would end at " + std::to_string(end));
  }
  if (!all_zero(ByteView(file_).subspan(begin, pe_section_header_size))) {
    return fail(Kind::invalid_input, what + "other bytes follow the section table at " + std::to_string(begin));
  }
  return base::ok();
}

Result<> Assembly::append(std::string_view name, ByteView content, std::uint32_t characteristics) {
  if (headers_.find(name) != nullptr) {
    return fail(Kind::invalid_input, "it has a section " + std::string(name) + " already");
  }
  TRY_DO(check_room(name));
  std::uint64_t memory_end = headers_.size_of_headers;
  for (const PeSection& section : headers_.sections) memory_end = std::max(memory_end, section.virtual_end());
  const std::uint64_t alignment = std::max(page_size, headers_.section_alignment);
  const std::uint64_t address = round_up(memory_end, alignment);
  const std::uint64_t raw_size = round_up(content.size(), headers_.file_alignment);
  // The image is loaded as a whole: its size in memory, rounded up, is a 32-bit number as the offsets in the file are.
  if (content.size() > max_field || round_up(address + content.size(), alignment) > max_field ||
      file_.size() + raw_size > max_field) {
    return fail(Kind::invalid_input, "with " + std::string(name) + " of " + std::to_string(content.size()) +
                                         " bytes the image would reach 4 GiB, more than PE can say");
  }
  headers_.sections.push_back({.name = std::string(name),
                               .virtual_size = static_cast<std::uint32_t>(content.size()),
                               .virtual_address = static_cast<std::uint32_t>(address),
                               .raw_size = static_cast<std::uint32_t>(raw_size),
                               .raw_offset = static_cast<std::uint32_t>(file_.size()),
                               .characteristics = characteristics});
  store_section(headers_.sections.back(), std::span(file_).subspan(header_of(headers_.sections.size() - 1)));
  const std::size_t end = file_.size() + raw_size;
  file_.reserve(end);
  file_.insert(file_.end(), content.begin(), content.end());
  file_.resize(end);
  return base::ok();
}

void Assembly::remove(std::size_t index) {
  const PeSection gone = headers_.sections[index];
  headers_.sections.erase(headers_.sections.begin() + static_cast<std::ptrdiff_t>(index));
  // The table moves up as bytes, since headers have fields that nobody here knows; then each offset is put right.
  const auto table_end = file_.begin() + static_cast<std::ptrdiff_t>(header_of(headers_.sections.size() + 1));
  const auto moved_end = std::copy(file_.begin() + static_cast<std::ptrdiff_t>(header_of(index + 1)), table_end,
                                   file_.begin() + static_cast<std::ptrdiff_t>(header_of(index)));
  std::fill(moved_end, table_end, std::byte{0});
  if (gone.raw_size == 0) return;
  const auto data = file_.begin() + gone.raw_offset;
  file_.erase(data, data + gone.raw_size);
  constexpr std::size_t raw_offset_field = 20;
  for (std::size_t i = 0; i < headers_.sections.size(); ++i) {
    PeSection& section = headers_.sections[i];
    if (section.raw_size == 0 || section.raw_offset < gone.raw_offset) continue;
    section.raw_offset -= gone.raw_size;
    store_le(&file_[header_of(i) + raw_offset_field], section.raw_offset);
  }
}

Bytes Assembly::finish() && {
  std::uint64_t memory_end = headers_.size_of_headers;
  std::uint64_t initialized_data = 0;
  for (const PeSection& section : headers_.sections) {
    memory_end = std::max(memory_end, section.virtual_end());
    if ((section.characteristics & contains_data) != 0) initialized_data += section.raw_size;
  }
  const std::uint64_t size_of_image = std::min(round_up(memory_end, headers_.section_alignment), max_field);
  const std::span coff(file_.data() + headers_.coff_header, pe_field::size_of_optional_header);
  const std::span optional_header(file_.data() + headers_.optional_header, pe_field::data_directories);
  store_le(&coff[pe_field::number_of_sections], static_cast<std::uint16_t>(headers_.sections.size()));
  store_le(&coff[pe_field::pointer_to_symbol_table], std::uint32_t{0});
  store_le(&coff[pe_field::number_of_symbols], std::uint32_t{0});
  store_le(&optional_header[pe_field::size_of_initialized_data], static_cast<std::uint32_t>(initialized_data));
  store_le(&optional_header[pe_field::size_of_image], static_cast<std::uint32_t>(size_of_image));
  store_checksum(headers_, file_);
  return std::move(file_);
}

Result<> check_part(const PartSection& section, ByteView content) {
  const std::string name(section.name);
  if (content.empty()) return fail(Kind::invalid_input, "the content of " + name + " is empty");
  if (section.content == Content::text && std::ranges::find(content, std::byte{0}) != content.end()) {
    return fail(Kind::invalid_input, "the text of " + name + " has a NUL, behind which the stub would not read on");
  }
  return base::ok();
}

Result<> check_sbat_line(std::string_view line) {
  const bool printable = std::ranges::all_of(line, [](char c) { return c >= ' ' && c < '\x7f'; });
  const std::size_t component_end = line.find(',');
  const std::size_t generation_end = line.find(',', component_end + 1);
  const auto commas = static_cast<std::size_t>(std::ranges::count(line, ','));
  if (!printable || commas != sbat_fields - 1) {
    return fail(Kind::invalid_input, "an SBAT line is not six printable fields between commas");
  }
  const std::string_view generation = line.substr(component_end + 1, generation_end - component_end - 1);
  const bool number = std::ranges::all_of(generation, [](char c) { return c >= '0' && c <= '9'; });
  if (component_end == 0 || generation.empty() || !number || generation.front() == '0') {
    return fail(Kind::invalid_input, "the SBAT line \"" + std::string(line) +
                                         "\" does not begin with a component and " +
                                         "its generation, a positive number");
  }
  return base::ok();
}

Result<> check_sbat_lines(std::string_view lines) {
  if (lines.empty() || lines.back() != '\n') {
    return fail(Kind::invalid_input, "SBAT lines are wanted, each ended by a line feed");
  }
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    TRY_DO(check_sbat_line(lines.substr(0, end)));
    lines.remove_prefix(end + 1);
  }
  return base::ok();
}

/// Takes the stub's .sbat out and returns its text, ended by a line feed; what is behind a NUL does not count.
std::string take_sbat(Assembly& assembly) {
  const auto& sections = assembly.headers().sections;
  const auto found = std::ranges::find(sections, sbat_name, &PeSection::name);
  if (found == sections.end()) return std::string(sbat_first_line);
  std::string text(base::text_of(assembly.content(*found)));
  text.resize(std::min(text.find('\0'), text.size()));
  if (!text.empty() && text.back() != '\n') text += '\n';
  assembly.remove(static_cast<std::size_t>(found - sections.begin()));
  return text;
}

/// The parts of `uki` as views; its last sections must be those that assemble_uki() appends.
Result<UkiParts> parts_of(const PeHeaders& headers, ByteView uki) {
  if (headers.sections.size() <= part_sections.size()) {
    return fail(Kind::unsupported, "no UKI: " + std::to_string(headers.sections.size()) + " sections are too few");
  }
  UkiParts parts;
  const std::size_t first = headers.sections.size() - part_sections.size();
  for (std::size_t i = 0; i < part_sections.size(); ++i) {
    const PeSection& section = headers.sections[first + i];
    if (section.name != part_sections[i].name) {
      return fail(Kind::unsupported, "no UKI of ours: the section " + section.name + " stands where " +
                                         std::string(part_sections[i].name) + " would");
    }
    parts.*part_sections[i].part = content_of(section, uki);
  }
  return parts;
}

}  // namespace

Result<Bytes> assemble_uki(ByteView stub, const UkiParts& parts) {
  TRY(Assembly assembly, Assembly::of(stub), "the EFI stub");
  for (const PartSection& section : part_sections) {
    TRY_DO(check_part(section, parts.*section.part), "assembling a UKI");
    TRY_DO(assembly.append(section.name, parts.*section.part, section.characteristics), "the EFI stub");
  }
  return std::move(assembly).finish();
}

Result<SplitUki> split_uki(ByteView uki) {
  const std::string frame = "splitting a UKI";
  TRY(Assembly assembly, Assembly::of(uki), frame);
  SplitUki split;
  TRY(split.parts, parts_of(assembly.headers(), uki), frame);
  for (std::size_t i = 0; i < part_sections.size(); ++i) assembly.remove(assembly.headers().sections.size() - 1);
  split.stub = std::move(assembly).finish();
  const auto again = assemble_uki(split.stub, split.parts);
  if (!again || !std::ranges::equal(*again, uki)) {
    return fail(Kind::unsupported, frame + ": somebody else assembled it, from its parts we would make other bytes" +
                                       (again ? std::string() : " (" + again.error().message() + ")"));
  }
  return split;
}

Result<Bytes> extend_sbat(ByteView stub, std::string_view lines) {
  const std::string frame = "adding to the EFI stub's .sbat";
  TRY_DO(check_sbat_lines(lines), frame);
  TRY(Assembly assembly, Assembly::of(stub), frame);
  const std::string text = take_sbat(assembly) + std::string(lines);
  TRY_DO(assembly.append(sbat_name, base::bytes_of(text), contains_data | readable), frame);
  return std::move(assembly).finish();
}

}  // namespace image
