#include "qemu-tests/support/guest.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/file.hpp"

namespace qemu {

using base::fail;
using base::fail_errno;
using base::Kind;
using base::Result;
using base::UniqueFd;
using std::chrono::nanoseconds;

namespace {

constexpr std::chrono::milliseconds pause(50);
constexpr std::size_t max_answer = std::size_t{4} << 20;
constexpr std::size_t shown_of_console = 3000;

nanoseconds now() {
  return base::system_clock().boot_time();
}

std::vector<std::string> disk_device(const GuestOptions& options) {
  const std::string sectors = fmt::format(",logical_block_size={0},physical_block_size={0}{1}", options.sector_size,
                                          options.direct ? "" : ",bootindex=0");
  switch (options.bus) {
    case DiskBus::virtio:
      return {"-device", "virtio-blk-pci,drive=disk" + sectors};
    case DiskBus::scsi:
      return {"-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,drive=disk,bus=scsi.0" + sectors};
    case DiskBus::nvme:
      return {"-device", "nvme,drive=disk,serial=story" + sectors};
    case DiskBus::ahci:
      return {"-device", "ide-hd,drive=disk,bus=ide.0" + sectors};  // q35 has the controller
  }
  return {};
}

std::vector<std::string> arguments(const GuestOptions& options) {
  std::vector<std::string> argv = {"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"};
  const auto add = [&argv](std::vector<std::string> more) { argv.insert(argv.end(), more.begin(), more.end()); };
  add({"-machine", fmt::format("q35,smm={},accel=tcg", options.secure_boot ? "on" : "off")});
  // cmpxchg16b with a segment override loses flags in QEMU before 8.1; kernels from 6.5 on die of it.
  add({"-cpu", "qemu64,-cx16", "-smp", std::to_string(options.processors)});
  add({"-m", std::to_string(options.memory_mib)});
  if (options.direct) {
    add({"-kernel", options.direct->kernel, "-initrd", options.direct->initrd});
    add({"-append", options.direct->command_line});
  } else {
    if (options.secure_boot) add({"-global", "driver=cfi.pflash01,property=secure,value=on"});
    const char* code = options.secure_boot ? "OVMF_CODE_4M.secboot.fd" : "OVMF_CODE_4M.fd";
    add({"-drive", fmt::format("if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/{}", code)});
    add({"-drive", "if=pflash,unit=1,format=raw,file=" + options.variables});
  }
  const char* format = options.format == DiskFormat::raw ? "raw" : "qcow2";
  add({"-drive", fmt::format("if=none,id=disk,format={},cache=unsafe,discard=unmap,file={}", format, options.disk)});
  add(disk_device(options));
  add({"-chardev", "socket,id=story,path=story,server=on,wait=off", "-device", "virtio-serial-pci", "-device",
       "virtserialport,chardev=story,name=org.keelson.story"});
  add({"-qmp", "unix:qmp,server=on,wait=off", "-serial", "file:console"});
  add({"-device", "virtio-rng-pci"});
  if (!options.load_state.empty()) add({"-loadvm", options.load_state});
  add(options.more);
  return argv;
}

Result<UniqueFd> connect_to(const std::string& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Kind::invalid_input, path + " is too long for a socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the interface of sockets
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    return fail_errno(error, "connecting to " + path);
  }
  return socket;
}

Result<> send(const UniqueFd& to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      return fail_errno(error, "talking to the machine");
    }
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return base::ok();
}

std::string read_console(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Result<Guest> Guest::start(const GuestOptions& options) {
  Guest guest;
  guest.directory_ = std::make_unique<support::TemporaryDirectory>();
  std::vector<std::string> argv = arguments(options);
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (std::string& word : argv) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const std::string directory = guest.directory_->path();
  const pid_t pid = ::fork();
  if (pid < 0) {
    const int error = errno;
    return fail_errno(error, "starting QEMU");
  }
  if (pid == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a story that crashes leaves no machine behind
    if (::chdir(directory.c_str()) != 0) ::_exit(126);
    const int said = ::open("errors", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)::dup2(said, STDOUT_FILENO);
    (void)::dup2(said, STDERR_FILENO);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  guest.pid_ = pid;
  TRY_DO(guest.connect());
  return guest;
}

Guest::Guest(Guest&& other) noexcept
    : directory_(std::move(other.directory_)),
      pid_(std::exchange(other.pid_, -1)),
      channel_(std::move(other.channel_)),
      channel_pending_(std::move(other.channel_pending_)),
      qmp_(std::move(other.qmp_)),
      qmp_pending_(std::move(other.qmp_pending_)),
      console_seen_(other.console_seen_) {}

Guest& Guest::operator=(Guest&& other) noexcept {
  if (this == &other) return *this;
  cut_power();
  directory_ = std::move(other.directory_);
  pid_ = std::exchange(other.pid_, -1);
  channel_ = std::move(other.channel_);
  channel_pending_ = std::move(other.channel_pending_);
  qmp_ = std::move(other.qmp_);
  qmp_pending_ = std::move(other.qmp_pending_);
  console_seen_ = other.console_seen_;
  return *this;
}

Guest::~Guest() {
  cut_power();
}

Result<> Guest::connect() {
  const nanoseconds end = now() + Limit(20);
  while (true) {
    auto channel = connect_to(directory_->path("story"));
    auto qmp = connect_to(directory_->path("qmp"));
    if (channel && qmp) {
      channel_ = std::move(*channel);
      qmp_ = std::move(*qmp);
      break;
    }
    if (has_ended()) return fail(Kind::io, "QEMU has ended: " + read_console(directory_->path("errors")));
    if (now() > end) return fail(Kind::cancelled, "QEMU does not open its sockets");
    std::this_thread::sleep_for(pause);
  }
  TRY(const std::string greeting, read_line(qmp_, qmp_pending_, end));
  TRY_DO(ask("qmp_capabilities"));
  return base::ok();
}

bool Guest::has_ended() {
  if (pid_ < 0) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  pid_ = -1;
  return true;
}

std::unexpected<base::Error> Guest::gave_up(Kind kind, std::string_view what) const {
  std::string said = console();
  if (said.size() > shown_of_console) said.erase(0, said.size() - shown_of_console);
  return fail(kind,
              fmt::format("{}; the console's end:\n{}\n{}", what, said, read_console(directory_->path("errors"))));
}

Result<> Guest::more_from(const UniqueFd& from, std::string& pending, nanoseconds end) {
  while (true) {
    if (now() > end) return gave_up(Kind::cancelled, "the guest has not answered in time");
    pollfd waiting{.fd = from.get(), .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(pause.count())) <= 0) {
      if (has_ended()) return gave_up(Kind::io, "the machine has ended");
      continue;
    }
    std::array<char, 65536> buffer{};
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return gave_up(Kind::io, "the machine has ended");
    pending.append(buffer.data(), static_cast<std::size_t>(got));
    return base::ok();
  }
}

Result<std::string> Guest::read_line(UniqueFd& from, std::string& pending, nanoseconds end) {
  while (pending.find('\n') == std::string::npos) {
    if (pending.size() > max_answer) return fail(Kind::corrupt, "the guest says a line without an end");
    TRY_DO(more_from(from, pending, end));
  }
  const std::size_t length = pending.find('\n');
  std::string line = pending.substr(0, length);
  pending.erase(0, length + 1);
  return line;
}

Result<std::string> Guest::read_bytes(std::size_t count, nanoseconds end) {
  while (channel_pending_.size() < count) TRY_DO(more_from(channel_, channel_pending_, end));
  std::string bytes = channel_pending_.substr(0, count);
  channel_pending_.erase(0, count);
  return bytes;
}

Result<std::string> Guest::wait_for_boot(Limit limit) {
  constexpr std::string_view hello = "HELLO ";
  const nanoseconds end = now() + limit;
  while (true) {
    TRY(const std::string line, read_line(channel_, channel_pending_, end), "waiting for a boot");
    // What an earlier boot was saying when it was cut off may stand before it.
    const std::size_t at = line.rfind(hello);
    if (at != std::string::npos) return line.substr(at + hello.size());
  }
}

Result<base::CommandResult> Guest::run(std::string_view script, Limit limit) {
  const nanoseconds end = now() + limit;
  TRY_DO(send(channel_, fmt::format("RUN {}\n{}", script.size(), script)));
  TRY(const std::string line, read_line(channel_, channel_pending_, end), fmt::format("running \"{}\"", script));
  int status = 0;
  std::size_t size = 0;
  constexpr std::string_view done = "DONE ";
  const char* const last = line.data() + line.size();
  if (!line.starts_with(done)) return fail(Kind::corrupt, "the guest's agent says \"" + line + "\"");
  const auto [after, bad_status] = std::from_chars(line.data() + done.size(), last, status);
  if (bad_status != std::errc() || after == last || std::from_chars(after + 1, last, size).ec != std::errc() ||
      size > max_answer) {
    return fail(Kind::corrupt, "the guest's agent says \"" + line + "\"");
  }
  TRY(std::string output, read_bytes(size, end));
  return base::CommandResult{.exit_status = status, .output = std::move(output), .errors = ""};
}

Result<> Guest::wait_for_console(std::string_view text, Limit limit) {
  const nanoseconds end = now() + limit;
  while (true) {
    const bool ended = has_ended();
    const std::string said = console();
    const std::size_t at = said.find(text, console_seen_);
    if (at != std::string::npos) {
      console_seen_ = at + text.size();
      return base::ok();
    }
    if (ended) return gave_up(Kind::io, fmt::format("the machine has ended without saying \"{}\"", text));
    if (now() > end) return gave_up(Kind::cancelled, fmt::format("the console has not said \"{}\" in time", text));
    std::this_thread::sleep_for(pause);
  }
}

Result<> Guest::wait_for_end(Limit limit) {
  const nanoseconds end = now() + limit;
  while (!has_ended()) {
    if (now() > end) return gave_up(Kind::cancelled, "the machine has not ended in time");
    std::this_thread::sleep_for(pause);
  }
  return base::ok();
}

std::string Guest::console() const {
  return read_console(directory_->path("console"));
}

Result<base::Json> Guest::ask(const std::string& command, const base::Json& arguments) {
  const nanoseconds end = now() + Limit(120);
  TRY_DO(send(qmp_, base::Json{{"execute", command}, {"arguments", arguments}}.dump() + "\n"));
  while (true) {
    TRY(const std::string line, read_line(qmp_, qmp_pending_, end), "asking QEMU for " + command);
    TRY(const base::Json answer, base::parse_json(line, {.max_bytes = max_answer}));
    if (answer.contains("error")) return fail(Kind::invalid_input, "QEMU says " + answer["error"].dump());
    if (answer.contains("return")) return answer["return"];  // the rest are events
  }
}

Result<std::string> Guest::monitor(const std::string& command) {
  TRY(const base::Json answer, ask("human-monitor-command", {{"command-line", command}}));
  return answer.get<std::string>();
}

Result<> Guest::save_state(const std::string& name) {
  TRY(const std::string said, monitor("savevm " + name));
  if (!said.empty()) return fail(Kind::io, "QEMU cannot save its state: " + said);
  return base::ok();
}

void Guest::cut_power() {
  if (pid_ < 0) return;
  (void)::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace qemu
