#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/block_device.hpp"

namespace support {

/// What a cut leaves of writes that were not flushed.
enum class Unflushed { kept, lost };

/// Memory that loses power: of the write number `cut` (from 0) the first half arrives, then everything fails.
class PowerCutDevice final : public base::BlockDevice {
 public:
  PowerCutDevice(base::Bytes content, std::size_t cut, Unflushed unflushed)
      : content_(std::move(content)), durable_(content_), cut_(cut), unflushed_(unflushed) {}
  /// Counts writes, never cuts.
  explicit PowerCutDevice(base::Bytes content)
      : PowerCutDevice(std::move(content), std::numeric_limits<std::size_t>::max(), Unflushed::kept) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size_bytes() const override { return content_.size(); }
  base::Result<> read(std::uint64_t offset, base::MutableByteView into) const override {
    std::ranges::copy(base::ByteView(content_).subspan(offset, into.size()), into.begin());
    return base::ok();
  }
  base::Result<> write(std::uint64_t offset, base::ByteView from) override {
    const std::size_t number = writes_++;
    if (number > cut_) return no_power();
    if (number == cut_) from = from.first(from.size() / 2);
    std::ranges::copy(from, content_.begin() + static_cast<std::ptrdiff_t>(offset));
    if (number == cut_) return no_power();
    return base::ok();
  }
  base::Result<> flush() override {
    if (writes_ > cut_) return no_power();
    durable_ = content_;
    return base::ok();
  }

  std::size_t writes() const { return writes_; }
  /// What the disk holds when the power is back.
  const base::Bytes& after_the_cut() const { return unflushed_ == Unflushed::lost ? durable_ : content_; }

 private:
  static std::unexpected<base::Error> no_power() { return base::fail(base::Kind::io, "no power"); }

  base::Bytes content_;
  base::Bytes durable_;
  std::size_t cut_;
  Unflushed unflushed_;
  std::size_t writes_ = 0;
  std::string name_ = "disk";
};

}  // namespace support
