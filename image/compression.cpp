#include "image/compression.hpp"

#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <string>

#include "base/owned.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t first_buffer = std::size_t{256} << 10;
constexpr std::uint64_t max_dictionary_memory = std::uint64_t{128} << 20;
constexpr int max_window_log = 27;  // 128 MiB; also what libzstd allows by itself
constexpr int level = 19;

using ZstdDecoder = base::Owned<ZSTD_DCtx, &ZSTD_freeDCtx>;
using ZstdEncoder = base::Owned<ZSTD_CCtx, &ZSTD_freeCCtx>;

std::unexpected<base::Error> too_large(std::size_t max_bytes) {
  return fail(Kind::no_space, "it decompresses to more than " + std::to_string(max_bytes) + " bytes");
}

/// Makes room for more; false when there is as much as is allowed.
bool grow(Bytes& buffer, std::size_t max_bytes) {
  if (buffer.size() >= max_bytes) return false;
  buffer.resize(std::min(max_bytes, std::max(first_buffer, 2 * buffer.size())));
  return true;
}

std::string describe(lzma_ret code) {
  switch (code) {
    case LZMA_FORMAT_ERROR:
      return "not an xz file";
    case LZMA_BUF_ERROR:
      return "the xz file is cut short";
    case LZMA_OPTIONS_ERROR:
      return "the xz file uses an unknown filter";
    default:
      return "the xz file is damaged (liblzma: " + std::to_string(static_cast<int>(code)) + ")";
  }
}

/// Runs the decoder to the end of the stream.
Result<Bytes> decode(lzma_stream& stream, ByteView file, std::size_t max_bytes) {
  Bytes content;
  stream.next_in = reinterpret_cast<const std::uint8_t*>(file.data());
  stream.avail_in = file.size();
  lzma_ret code = LZMA_OK;
  while (code == LZMA_OK) {
    if (stream.avail_out == 0) {
      const std::size_t done = content.size();
      if (!grow(content, max_bytes + 1)) return too_large(max_bytes);
      stream.next_out = reinterpret_cast<std::uint8_t*>(content.data() + done);
      stream.avail_out = content.size() - done;
    }
    code = lzma_code(&stream, LZMA_FINISH);
  }
  if (code == LZMA_MEMLIMIT_ERROR || code == LZMA_MEM_ERROR) {
    return fail(Kind::no_space, "the xz file needs more memory than is allowed");
  }
  if (code != LZMA_STREAM_END) return fail(Kind::corrupt, describe(code));
  if (stream.avail_in != 0) return fail(Kind::corrupt, "something follows the xz stream");
  content.resize(content.size() - stream.avail_out);
  if (content.size() > max_bytes) return too_large(max_bytes);
  return content;
}

}  // namespace

Result<Bytes> decompress_xz(ByteView file, std::size_t max_bytes) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, max_dictionary_memory, 0) != LZMA_OK) {
    return fail(Kind::no_space, "liblzma cannot start");
  }
  auto content = decode(stream, file, max_bytes);
  lzma_end(&stream);
  return content;
}

Result<Bytes> decompress_zstd(ByteView file, std::size_t max_bytes) {
  const ZstdDecoder decoder(ZSTD_createDCtx());
  if (!decoder) return fail(Kind::no_space, "libzstd cannot start");
  ZSTD_DCtx_setParameter(decoder.get(), ZSTD_d_windowLogMax, max_window_log);
  Bytes content;
  ZSTD_inBuffer in{file.data(), file.size(), 0};
  ZSTD_outBuffer out{nullptr, 0, 0};
  while (true) {
    if (out.pos == out.size) {
      if (!grow(content, max_bytes + 1)) return too_large(max_bytes);
      out.dst = content.data();
      out.size = content.size();
    }
    const std::size_t code = ZSTD_decompressStream(decoder.get(), &out, &in);
    if (ZSTD_isError(code) != 0) {
      return fail(Kind::corrupt, std::string("the zstd file is damaged: ") + ZSTD_getErrorName(code));
    }
    if (code == 0) break;
    if (in.pos == in.size && out.pos < out.size) return fail(Kind::corrupt, "the zstd file is cut short");
  }
  if (in.pos != in.size) return fail(Kind::corrupt, "something follows the zstd frame");
  if (out.pos > max_bytes) return too_large(max_bytes);
  content.resize(out.pos);
  return content;
}

Result<Bytes> compress_zstd(ByteView content) {
  const ZstdEncoder encoder(ZSTD_createCCtx());
  if (!encoder) return fail(Kind::io, "libzstd cannot start");
  ZSTD_CCtx_setParameter(encoder.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(encoder.get(), ZSTD_c_checksumFlag, 1);
  Bytes file(ZSTD_compressBound(content.size()));
  const std::size_t size = ZSTD_compress2(encoder.get(), file.data(), file.size(), content.data(), content.size());
  if (ZSTD_isError(size) != 0) return fail(Kind::io, std::string("compressing with zstd: ") + ZSTD_getErrorName(size));
  file.resize(size);
  return file;
}

}  // namespace image
