//! Nix's own formats, as values: text or bytes in, values out.
//!
//! No files, no processes and no clock: `system/` reads and runs, this layer
//! understands. Every parser here takes hostile input without a panic and
//! without an allocation that the input's length field alone decides.
//!
//! `nixbase32`, `store_path`, `nixhash`, `nar` and `path_info` keep the module
//! and type names of `nix-compat` (part of snix), which is not on the registry
//! yet, so that it can be swapped in when it is.
//!
//! | module | what it reads or makes |
//! |---|---|
//! | [`nixbase32`] | Nix's base-32 |
//! | [`store_path`] | `/nix/store/<digest>-<name>` |
//! | [`nixhash`] | hashes in Nix's spellings and SRI |
//! | [`nar`] | archives: writer, reader, hash |
//! | [`path_info`] | what Nix registered about a path |
//! | [`version`] | names with versions, and their order |
//! | [`generation`] | a profile's links and their numbers |
//! | [`toplevel`] | the files of a built system |
//! | [`bootspec`] | `boot.json` |
//! | [`imports`] | the paths a `.nix` file refers to |
//! | [`loader`] | what a boot loader's files start by default |
//! | [`closure`] | the difference of two closures, by package |

pub mod bootspec;
pub mod closure;
pub mod generation;
pub mod hardware;
pub mod imports;
pub mod loader;
pub mod nar;
pub mod nixbase32;
pub mod nixhash;
pub mod path_info;
pub mod side;
pub mod store_path;
pub mod toplevel;
pub mod version;

pub use closure::{ClosureDiff, ClosureEntry};
pub use generation::{GenerationLink, GenerationNumber, LinkProblem};
pub use nixhash::{HashAlgo, NixHash};
pub use path_info::ExportedPathInfo;
pub use store_path::{StorePath, StorePathRef};
