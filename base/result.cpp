#include "base/result.hpp"

#include <cerrno>
#include <ranges>
#include <system_error>

namespace base {

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::invalid_input:
      return "invalid_input";
    case Kind::not_found:
      return "not_found";
    case Kind::permission:
      return "permission";
    case Kind::no_space:
      return "no_space";
    case Kind::busy:
      return "busy";
    case Kind::io:
      return "io";
    case Kind::corrupt:
      return "corrupt";
    case Kind::untrusted:
      return "untrusted";
    case Kind::unsupported:
      return "unsupported";
    case Kind::cancelled:
      return "cancelled";
  }
  return "unknown";
}

Error::Error(Kind kind, std::string what) : kind_(kind) {
  frames_.push_back(std::move(what));
}

Error&& Error::while_doing(std::string doing) && {
  frames_.push_back(std::move(doing));
  return std::move(*this);
}

std::string Error::message() const {
  std::string text;
  for (const std::string& frame : frames_ | std::views::reverse) {
    if (!text.empty()) text += ": ";
    text += frame;
  }
  return text;
}

namespace {

Kind kind_of_errno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
      return Kind::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return Kind::permission;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Kind::no_space;
    case EBUSY:
    case ETXTBSY:
    case EWOULDBLOCK:
      return Kind::busy;
    case ENOSYS:
    case EOPNOTSUPP:
      return Kind::unsupported;
    case ECANCELED:
      return Kind::cancelled;
    default:
      return Kind::io;
  }
}

}  // namespace

std::unexpected<Error> fail_errno(int error_number, std::string what) {
  Error error(kind_of_errno(error_number), std::generic_category().message(error_number));
  return std::unexpected(std::move(error).while_doing(std::move(what)));
}

}  // namespace base
