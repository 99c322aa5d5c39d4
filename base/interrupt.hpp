#pragma once

#include <functional>
#include <list>

namespace base {

/// What must be undone when the program is interrupted while this object lives: a half-written file, a child process.
/// Registered at once; when the interrupt has come already, the constructor never returns, so what is made behind it
/// is never left over.
class UndoOnInterrupt {
 public:
  /// `undo` runs on a thread of its own while others go on, and must neither throw, nor wait for them, nor register.
  explicit UndoOnInterrupt(std::function<void()> undo);
  UndoOnInterrupt(UndoOnInterrupt&& other) noexcept;
  UndoOnInterrupt& operator=(UndoOnInterrupt&& other) noexcept;
  UndoOnInterrupt(const UndoOnInterrupt&) = delete;
  UndoOnInterrupt& operator=(const UndoOnInterrupt&) = delete;
  ~UndoOnInterrupt() { done(); }

  /// There is nothing to undo any more.
  void done();

 private:
  std::list<std::function<void()>>::iterator place_;
  bool registered_ = true;
};

/// From now on SIGINT, SIGTERM and SIGHUP undo what is registered, last first, and end the program with exit status 130
/// (ExitStatus::cancelled); a signal that whoever started us ignores, as nohup does, stays ignored. A program's main
/// calls it once, before there are threads. Without it signals end the program at once, as ever.
///
/// A thread waits for the signals, so nothing is restricted to what is safe in a signal handler, and long work need not
/// ask again and again whether it has been cancelled.
/// program  names itself in the one line on standard error
void undo_when_interrupted(const char* program);

}  // namespace base
