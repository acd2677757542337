//! A web-data platform on Segno: the life of crawler runs, and what its business events set off.
