//! Histograms of all intervals, in the log format of HdrHistogram, which other tools read.
