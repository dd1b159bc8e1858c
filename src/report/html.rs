//! The document as one page, for a browser and for paper: no script, and nothing that is fetched.
use super::Document;
impl Document {
    /// The page.
    pub fn as_html(&self) -> String {
        String::new()
    }
}
