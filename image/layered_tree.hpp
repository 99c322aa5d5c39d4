#pragma once

#include "image/file_tree.hpp"

namespace image {

/// One root laid over another, as lay_over() does it: "the same, with changes". Nothing is read; each file keeps the
/// source that it came from, so that a commit of the result reads only what is new.
SourcedTree layered(SourcedTree lower, SourcedTree upper);

}  // namespace image
