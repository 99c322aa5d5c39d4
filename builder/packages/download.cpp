#include "builder/packages/download.hpp"

#include <curl/curl.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/owned.hpp"
#include "base/partial_file.hpp"
#include "base/version.hpp"

namespace builder::packages {

using base::fail;
using base::Kind;
using base::Result;

namespace {

using Multi = base::Owned<CURLM, &curl_multi_cleanup>;
using Easy = base::Owned<CURL, &curl_easy_cleanup>;

constexpr std::size_t at_a_time = 8;
constexpr long connect_seconds = 30;
constexpr long stalled_bytes_a_second = 512;
constexpr long stalled_seconds = 60;

/// One file on its way. libcurl keeps its address.
class Transfer {
 public:
  Transfer(const Download& what, const base::Advance& advance) : what_(what), advance_(advance) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  const Download& what() const { return what_; }
  CURL* handle() const { return easy_.get(); }

  /// Begins with the next URL. False: there is none left.
  Result<bool> begin() {
    if (next_ == what_.urls.size()) return false;
    TRY(base::PartialFile file, base::PartialFile::create(what_.path));
    file_ = std::move(file);
    sha_ = base::Sha256();
    size_ = 0;
    failure_.reset();
    easy_.reset(curl_easy_init());
    CURL* curl = easy_.get();
    url_ = what_.urls[next_++];
    curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, connect_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, stalled_bytes_a_second);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stalled_seconds);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, fmt::format("keelson/{}", base::version).c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::take_from_curl);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, this);
    return true;
  }

  /// After libcurl's last word on a URL. False: another URL may have it.
  Result<bool> end(CURLcode code) {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (failure_) return std::unexpected(*std::move(failure_));
    if (code == CURLE_OK && size_ == what_.size_bytes && sha_.finish() == what_.sha256) {
      TRY_DO(file_->complete(base::Durability::none));  // who reads it checks it
      return true;
    }
    const bool absent = status == 404 || status == 410 || code == CURLE_FILE_COULDNT_READ_FILE;
    if (code == CURLE_OK || too_long_) {
      kind_ = Kind::corrupt;
      said_.push_back(url_ + ": other bytes than the lock says");
    } else {
      if (!absent && kind_ == Kind::not_found) kind_ = Kind::io;
      said_.push_back(
          fmt::format("{}: {}{}", url_, curl_easy_strerror(code), status >= 400 ? fmt::format(" ({})", status) : ""));
    }
    file_.reset();
    too_long_ = false;
    return false;
  }

  base::Error failure() const {
    return base::Error(kind_, said_.empty() ? "there is no source for it" : fmt::format("{}", fmt::join(said_, "\n  ")))
        .while_doing("fetching " + what_.name);
  }

 private:
  static std::size_t take_from_curl(char* bytes, std::size_t size, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->take(base::bytes_of(std::string_view(bytes, size * count))) ? size * count : 0;
  }
  bool take(base::ByteView bytes) {
    if (bytes.size() > what_.size_bytes - size_) {
      too_long_ = true;
      return false;
    }
    if (auto written = file_->file().write_all(size_, bytes); !written) {
      failure_ = std::move(written).error();
      return false;
    }
    sha_.update(bytes);
    size_ += bytes.size();
    if (advance_) advance_(bytes.size());
    return true;
  }

  const Download& what_;
  const base::Advance& advance_;
  Easy easy_;
  std::string url_;
  std::size_t next_ = 0;
  std::optional<base::PartialFile> file_;
  base::Sha256 sha_;
  std::uint64_t size_ = 0;
  bool too_long_ = false;
  std::optional<base::Error> failure_;
  Kind kind_ = Kind::not_found;
  std::vector<std::string> said_;
};

/// Those that run, and what takes them off libcurl's hands again.
class Transfers {
 public:
  Transfers() : multi_(curl_multi_init()) {
    curl_multi_setopt(multi_.get(), CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(at_a_time));
  }
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;
  ~Transfers() {
    for (const auto& [handle, transfer] : running_) curl_multi_remove_handle(multi_.get(), handle);
  }

  std::size_t running() const { return running_.size(); }

  Result<> start(std::unique_ptr<Transfer> transfer) {
    TRY(const bool begun, transfer->begin());
    if (!begun) return std::unexpected(transfer->failure());
    CURL* handle = transfer->handle();
    curl_multi_add_handle(multi_.get(), handle);
    running_.emplace(handle, std::move(transfer));
    return base::ok();
  }

  /// Goes on for a moment.
  Result<> step() {
    int active = 0;
    if (const CURLMcode code = curl_multi_perform(multi_.get(), &active); code != CURLM_OK) {
      return fail(Kind::io, fmt::format("libcurl: {}", curl_multi_strerror(code)));
    }
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      auto ended = running_.extract(message->easy_handle);
      const CURLcode code = message->data.result;
      curl_multi_remove_handle(multi_.get(), ended.key());
      TRY(const bool done, ended.mapped()->end(code));
      if (!done) TRY_DO(start(std::move(ended.mapped())));
    }
    if (!running_.empty()) curl_multi_poll(multi_.get(), nullptr, 0, 500, nullptr);
    return base::ok();
  }

 private:
  Multi multi_;
  std::map<CURL*, std::unique_ptr<Transfer>> running_;
};

}  // namespace

Result<> download(const std::vector<Download>& downloads, const base::Advance& advance) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  Transfers transfers;
  std::size_t next = 0;
  while (next < downloads.size() || transfers.running() > 0) {
    while (next < downloads.size() && transfers.running() < at_a_time) {
      TRY_DO(transfers.start(std::make_unique<Transfer>(downloads[next], advance)));
      ++next;
    }
    TRY_DO(transfers.step());
  }
  return base::ok();
}

}  // namespace builder::packages
