//! Adds sightings up. To add is associative and commutative, so that parts of a log, in
//! any split and order, give the same as the whole.
