#include <algorithm>
#include <map>

#include "image/fat_reader.hpp"
#include "tests/fuzz/fuzzer.hpp"

namespace {

constexpr std::size_t sector = 512;
constexpr std::uint64_t volume_size = std::uint64_t{40} << 20;
constexpr std::size_t max_file = std::size_t{1} << 20;

/// A volume of 40 MiB of which only a few sectors are not zero: an input is a list of sectors, each behind two bytes
/// that say which one it is. (A whole FAT32 volume has 32 MiB at least, too much for a fuzzer to change.)
class Sectors final : public base::BlockDevice {
 public:
  explicit Sectors(base::ByteView input) {
    for (; input.size() > 2; input = input.subspan(std::min(input.size(), 2 + sector))) {
      base::Bytes& content = sectors_[base::load_le<std::uint16_t>(input.data())];
      content.assign(sector, std::byte{0});
      const base::ByteView given = input.subspan(2, std::min(sector, input.size() - 2));
      std::ranges::copy(given, content.begin());
    }
  }
  const std::string& name() const override { return name_; }
  std::uint64_t size_bytes() const override { return volume_size; }
  base::Result<> read(std::uint64_t offset, base::MutableByteView into) const override {
    fuzz::require(offset <= volume_size && into.size() <= volume_size - offset, "reads stay inside of the volume");
    std::ranges::fill(into, std::byte{0});
    for (auto at = sectors_.lower_bound(offset / sector); at != sectors_.end(); ++at) {
      const std::uint64_t begin = at->first * sector;
      if (begin >= offset + into.size()) break;
      for (std::uint64_t i = std::max(begin, offset); i < std::min(begin + sector, offset + into.size()); ++i) {
        into[i - offset] = at->second[i - begin];
      }
    }
    return base::ok();
  }
  base::Result<> write(std::uint64_t, base::ByteView) override {
    return base::fail(base::Kind::io, "not to be written");
  }
  base::Result<> flush() override { return base::ok(); }

 private:
  std::map<std::uint64_t, base::Bytes> sectors_;
  std::string name_ = "volume";
};

}  // namespace

/// Properties: nothing beyond the volume is read; what is listed has a name that can be one; what is read has the size
/// that was listed; all of it ends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Sectors volume(fuzz::view(data, size));
  const auto reader = image::FatReader::open(volume);
  if (!reader) return 0;
  fuzz::require(reader->size_bytes() <= volume.size_bytes(), "the clusters lie on the volume");
  const auto nodes = reader->list();
  if (!nodes) return 0;
  std::size_t files = 0;
  for (const image::FatNode& node : *nodes) {
    fuzz::require(!node.path.empty() && !node.path.starts_with('/') && !node.path.contains("/../") &&
                      !node.path.starts_with("../") && !node.path.contains('\x1b'),
                  "a path stays on the volume");
    if (node.is_directory || ++files > 16) continue;
    const auto content = reader->read(node, max_file);
    if (content) fuzz::require(content->size() == node.size_bytes, "a file has the size that it was listed with");
  }
  return 0;
}
