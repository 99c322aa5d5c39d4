#include "builder/run/host.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/partial_file.hpp"
#include "base/subprocess.hpp"
#include "builder/run/scratch_directory.hpp"

namespace builder::run {

namespace fs = std::filesystem;

using base::fail;
using base::fail_errno;
using base::Kind;
using base::Result;

namespace {

struct FirmwarePlace {
  const char* code;
  const char* secure_boot_code;
  const char* variables;
};
constexpr std::array<FirmwarePlace, 4> firmware_places{{
    // Debian, Ubuntu
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    // Fedora
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd",
     "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    // Arch Linux
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd",
     "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
}};

constexpr int success_of_probe = (0x10 << 1) | 1;  // what isa-debug-exit makes of the guest's 0x10

std::string boot_id() {
  auto id = base::read_file("/proc/sys/kernel/random/boot_id", 64);
  return id ? *std::move(id) : "";
}

/// Where a failure of KVM is remembered; empty: nowhere.
std::string memory_of_failure() {
  const char* const directory = std::getenv("XDG_RUNTIME_DIR");
  return directory == nullptr || *directory == '\0' ? "" : std::string(directory) + "/keelson-kvm-does-not-work";
}

KvmVerdict start_probe(std::chrono::milliseconds time_limit) {
  const auto scratch = ScratchDirectory::create();
  if (!scratch) return {false, scratch.error().message()};
  if (const auto written = scratch->write("probe.bin", probe_guest()); !written) {
    return {false, written.error().message()};
  }
  const auto ended = base::run(
      {.argv = {"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,accel=kvm",
                "-cpu", "host", "-m", "16", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios", "probe.bin"},
       .working_directory = scratch->path(),
       .time_limit = time_limit});
  if (ended && ended->exit_status == success_of_probe) return {true, ""};
  if (!ended && ended.error().kind() == Kind::cancelled) {
    return {false, fmt::format("a guest did not get to its end in {} ms", time_limit.count())};
  }
  return {false, ended ? fmt::format("QEMU could not run a guest (exit status {})", ended->exit_status)
                       : ended.error().message()};
}

}  // namespace

Result<Firmware> find_firmware(bool secure_boot, const std::string& root) {
  for (const FirmwarePlace& place : firmware_places) {
    Firmware firmware{root + (secure_boot ? place.secure_boot_code : place.code), root + place.variables};
    if (::access(firmware.code.c_str(), R_OK) == 0 && ::access(firmware.variables.c_str(), R_OK) == 0) return firmware;
  }
  return fail(Kind::not_found,
              fmt::format("no UEFI firmware for virtual machines{}, such as {}: install the package ovmf",
                          secure_boot ? " with Secure Boot" : "",
                          secure_boot ? firmware_places[0].secure_boot_code : firmware_places[0].code));
}

Result<> find_programs() {
  for (const auto& [program, package] :
       {std::pair("qemu-system-x86_64", "qemu-system-x86"), {"qemu-img", "qemu-utils"}}) {
    if (!base::find_program(program)) {
      return fail(Kind::not_found, fmt::format("{} is missing: install the package {}", program, package));
    }
  }
  return base::ok();
}

Result<ImageFacts> examine_image(const std::string& path) {
  TRY(const base::File file, base::File::open(path, O_RDONLY));
  TRY(const std::uint64_t size, file.size());
  ImageFacts facts{.path = fs::absolute(path).string(), .format = ImageFormat::raw, .size = size};
  if (size < 512) return fail(Kind::invalid_input, path + " is too short for a disk image");
  std::array<std::byte, 4> magic{};
  TRY_DO(file.read_exactly(0, magic));
  if (base::text_of(magic) != "QFI\xfb") return facts;
  facts.format = ImageFormat::qcow2;
  TRY(const std::string told,
      base::run_checked({.argv = {"qemu-img", "info", "--output=json", "-f", "qcow2", facts.path},
                         .time_limit = std::chrono::seconds(30)}));
  TRY(const base::Json json, base::parse_json(told), "reading what qemu-img says of " + path);
  const auto virtual_size = json.find("virtual-size");
  if (virtual_size == json.end() || !virtual_size->is_number_unsigned()) {
    return fail(Kind::invalid_input, path + " is no readable qcow2 image");
  }
  facts.size = virtual_size->get<std::uint64_t>();
  return facts;
}

KvmVerdict probe_kvm(std::chrono::milliseconds time_limit) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    const int error = errno;
    return {false, fmt::format("/dev/kvm: {}", fail_errno(error, "it cannot be opened").error().message())};
  }
  const std::string memory = memory_of_failure();
  if (const auto remembered = base::read_file(memory, 64); !memory.empty() && remembered && *remembered == boot_id()) {
    return {false, "a guest did not run when it was last tried, as " + memory + " says"};
  }
  KvmVerdict verdict = start_probe(time_limit);
  // That it cannot be remembered costs the next call these seconds again, no more.
  if (!verdict.works && !memory.empty()) (void)base::replace_file(memory, base::bytes_of(boot_id()), 0600);
  return verdict;
}

Result<std::uint16_t> free_port() {
  const base::UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (!listening || ::bind(listening.get(), any, size) != 0 || ::getsockname(listening.get(), any, &size) != 0) {
    const int error = errno;
    return fail_errno(error, "looking for a free port");
  }
  return ntohs(address.sin_port);
}

std::string probe_guest() {
  // A processor starts at 0xfff0 of these 64 KiB, in real mode. As GNU as reads it (as, ld -Ttext 0 --oformat binary):
  //         .code16; .org 0xfe00
  // start:  cli; xorw %ax,%ax; movw %ax,%ds; movw %ax,%es; cld
  //         xorl %eax,%eax; movw $0x1000,%di; movw $0xc00,%cx; rep stosl            three empty tables of pages
  //         movl $0x2003,0x1000; movl $0x3003,0x2000; movl $0x83,0x3000             map the first 2 MiB
  //         movl $0x1000,%eax; movl %eax,%cr3; movl %cr4,%eax; orb $0x20,%al; movl %eax,%cr4
  //         movl $0xc0000080,%ecx; rdmsr; orb $1,%ah; wrmsr                         64-bit mode
  //         lgdtl %cs:gdtr; movl %cr0,%eax; orl $0x80000001,%eax; movl %eax,%cr0    protection and paging
  //         ljmpl $8,$(0xf0000+long_mode)
  //         .code64
  // long_mode: movl $1000000,%ecx
  // 1:      movl %ecx,0x4000; decl %ecx; jnz 1b
  //         movb $0x10,%al; outb %al,$0xf4                                          isa-debug-exit
  // 2:      hlt; jmp 2b; .align 8
  // gdt:    .quad 0, 0x00209a0000000000
  // gdtr:   .word 15; .long 0xf0000+gdt
  //         .org 0xfff0; .code16; ljmpw $0xf000,$start; .org 0x10000
  static constexpr std::size_t start = 0xfe00;
  static constexpr auto code = std::to_array<unsigned char>(
      {0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xfc, 0x66, 0x31, 0xc0, 0xbf, 0x00, 0x10, 0xb9, 0x00, 0x0c, 0x66, 0xf3,
       0xab, 0x66, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0x00, 0x00, 0x66, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30, 0x00, 0x00,
       0x66, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x00, 0x00, 0x66, 0xb8, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8, 0x0f,
       0x20, 0xe0, 0x0c, 0x20, 0x0f, 0x22, 0xe0, 0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, 0x80, 0xcc, 0x01, 0x0f,
       0x30, 0x2e, 0x66, 0x0f, 0x01, 0x16, 0x90, 0xfe, 0x0f, 0x20, 0xc0, 0x66, 0x0d, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22,
       0xc0, 0x66, 0xea, 0x68, 0xfe, 0x0f, 0x00, 0x08, 0x00, 0xb9, 0x40, 0x42, 0x0f, 0x00, 0x89, 0x0c, 0x25, 0x00, 0x40,
       0x00, 0x00, 0xff, 0xc9, 0x75, 0xf5, 0xb0, 0x10, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00,
       0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00, 0x0f, 0x00, 0x80, 0xfe, 0x0f});
  static constexpr std::size_t reset = 0xfff0;
  static constexpr std::array<unsigned char, 5> jump{0xea, 0x00, 0xfe, 0x00, 0xf0};
  std::string firmware(0x10000, '\0');
  std::ranges::copy(code, firmware.begin() + start);
  std::ranges::copy(jump, firmware.begin() + reset);
  return firmware;
}

}  // namespace builder::run
