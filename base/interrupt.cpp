#include "base/interrupt.hpp"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <mutex>
#include <ranges>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/exit_status.hpp"

namespace base {

namespace {

struct Registry {
  std::mutex lock;
  std::list<std::function<void()>> undos;
};

/// Never destroyed: the waiting thread may outlive main's statics.
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

[[noreturn]] void undo_and_exit(std::string_view program) {
  // Held until the end, so that nobody registers, or goes on as though his work had been completed.
  registry().lock.lock();
  for (const auto& undo : registry().undos | std::views::reverse) undo();
  const std::string line = "\n" + std::string(program) + ": interrupted\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(static_cast<int>(ExitStatus::cancelled));
}

/// Those of the three that are not ignored.
sigset_t awaited_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : std::array{SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action{};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) ::sigaddset(&signals, signal);
  }
  return signals;
}

}  // namespace

UndoOnInterrupt::UndoOnInterrupt(std::function<void()> undo) {
  const std::lock_guard guard(registry().lock);
  place_ = registry().undos.insert(registry().undos.end(), std::move(undo));
}

UndoOnInterrupt::UndoOnInterrupt(UndoOnInterrupt&& other) noexcept
    : place_(other.place_), registered_(std::exchange(other.registered_, false)) {}

UndoOnInterrupt& UndoOnInterrupt::operator=(UndoOnInterrupt&& other) noexcept {
  if (this == &other) return *this;
  done();
  place_ = other.place_;
  registered_ = std::exchange(other.registered_, false);
  return *this;
}

void UndoOnInterrupt::done() {
  if (!std::exchange(registered_, false)) return;
  const std::lock_guard guard(registry().lock);
  registry().undos.erase(place_);
}

void undo_when_interrupted(const char* program) {
  const sigset_t signals = awaited_signals();
  (void)::pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // threads inherit it, so only ours takes the signals
  std::thread([signals, program] {
    int signal = 0;
    while (::sigwait(&signals, &signal) != 0) {
    }
    undo_and_exit(program);
  }).detach();
}

}  // namespace base
