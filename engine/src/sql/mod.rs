//! Text to statements: the dialect's syntax.

pub mod ast;
