//! Join: the operator that lets Kong events and Azure events meet.
