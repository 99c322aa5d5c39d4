#pragma once

#include "image/file_tree.hpp"

namespace builder::root {

/// Lays a layer of a container image over the ones below it: ".wh.NAME" takes NAME away, ".wh..wh..opq" all that a
/// directory had. Source: opencontainers/image-spec, layer.md, "Whiteouts".
image::SourcedTree with_layer(image::SourcedTree lower, image::SourcedTree layer);

}  // namespace builder::root
