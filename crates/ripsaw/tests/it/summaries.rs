//! Numbers of a diagram, against formulas written another way.
