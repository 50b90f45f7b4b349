//! Ai: the statistics and verdicts under `ai`, in every layout.
//!
//! - In: `ai` flat (3.6), per plugin (3.7, 3.8) or under `proxy` (3.9); guard reasons and MCP audits (Enterprise).
//! - Out: provider, models, token counts, and what guards decided.
//! - Invariants: payloads, prompts, answers and block reasons are never kept.

use crate::object::{FromObject, field_by_value, lenient_object};
use crate::scalar::{Key, Scalar};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;

lenient_object! {
    struct Meta<'a> {
        provider: Scalar<'a> = b"provider_name",
        request_model: Scalar<'a> = b"request_model",
        response_model: Scalar<'a> = b"response_model",
    }
}

lenient_object! {
    struct Usage<'a> {
        // 3.7.1 writes the singular.
        prompt_tokens: Scalar<'a> = b"prompt_tokens" | b"prompt_token",
        completion_tokens: Scalar<'a> = b"completion_tokens" | b"completion_token",
        total_tokens: Scalar<'a> = b"total_tokens" | b"total_token",
    }
}

/// What guards decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct GuardVerdicts {
    /// A guard gave a reason to refuse the prompt.
    pub(super) is_prompt_refused: bool,
    /// A guard gave a reason to refuse the answer.
    pub(super) is_answer_refused: bool,
    /// A guard that only logs gave a reason.
    pub(super) is_flagged: bool,
    /// A guard ran.
    pub(super) is_guarded: bool,
    /// A tool call of an agent was refused.
    pub(super) is_tool_denied: bool,
}

/// Everything kept of `ai`.
#[derive(Debug, Default)]
pub(super) struct Ai<'a> {
    meta: Meta<'a>,
    usage: Usage<'a>,
    /// What guards decided.
    pub(super) guards: GuardVerdicts,
    /// Payloads and texts that were dropped.
    pub(super) texts_withheld: u32,
    is_log_only: bool,
    has_denied_action: bool,
}

/// Written by 3.9 when a guard refused before a model was chosen.
const UNSPECIFIED: &str = "UNSPECIFIED";

impl<'a> Ai<'a> {
    /// Whether the request was refused before a model was chosen.
    pub(super) fn is_unspecified(&self) -> bool {
        self.meta.provider.as_str() == Some(UNSPECIFIED)
            || self.meta.request_model.as_str() == Some(UNSPECIFIED)
    }

    /// Provider, if one was chosen.
    pub(super) fn provider(&self) -> Option<&str> {
        specified(&self.meta.provider)
    }

    /// The model that answered, else the one that was asked for.
    pub(super) fn model(&self) -> Option<&str> {
        specified(&self.meta.response_model).or_else(|| specified(&self.meta.request_model))
    }

    /// Tokens of prompt, answer, and both.
    pub(super) fn tokens(&self) -> [Option<i64>; 3] {
        [&self.usage.prompt_tokens, &self.usage.completion_tokens, &self.usage.total_tokens]
            .map(|count| count.as_i64().filter(|count| *count >= 0))
    }

    fn read<A: MapAccess<'a>>(&mut self, depth: u8, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "meta" => fill(&mut self.meta, map.next_value()?),
            "usage" => fill(&mut self.usage, map.next_value()?),
            "payload" => {
                map.next_value::<IgnoredAny>()?;
                self.texts_withheld += 1;
            }
            "input_block_reason" => self.guards.is_prompt_refused |= self.read_reason(map.next_value()?),
            "output_block_reason" => self.guards.is_answer_refused |= self.read_reason(map.next_value()?),
            "mode" => {
                let mode: Scalar<'a> = map.next_value()?;
                self.guards.is_guarded = true;
                self.is_log_only = mode.as_str().is_some_and(is_log_only_mode);
            }
            "action" => {
                let action: Scalar<'a> = map.next_value()?;
                self.has_denied_action |= action.as_str().is_some_and(|word| {
                    word.eq_ignore_ascii_case("deny") || word.eq_ignore_ascii_case("denied")
                });
            }
            _ if depth >= DEPTH_MAX => drop(map.next_value::<IgnoredAny>()?),
            _ => {
                let child = map.next_value_seed(AiSeed { depth: depth + 1 })?;
                self.absorb(child, key);
            }
        }
        Ok(())
    }

    fn read_reason(&mut self, reason: Scalar<'a>) -> bool {
        let is_refused =
            reason.as_str().is_some() || reason.as_bool() == Some(true) || reason.as_f64().is_some();
        self.texts_withheld += u32::from(is_refused);
        self.guards.is_guarded = true;
        is_refused
    }

    /// Takes over what a nested object says. The proxy's own statistics win over those of other plugins.
    fn absorb(&mut self, child: Ai<'a>, key: &str) {
        let is_proxy = matches!(key, "proxy" | "ai-proxy" | "ai-proxy-advanced");
        if child.meta.is_object && (is_proxy || !self.meta.is_object) {
            self.meta = child.meta;
        }
        if child.usage.is_object && (is_proxy || !self.usage.is_object) {
            self.usage = child.usage;
        }
        let (mine, theirs) = (&mut self.guards, child.guards);
        mine.is_prompt_refused |= theirs.is_prompt_refused;
        mine.is_answer_refused |= theirs.is_answer_refused;
        mine.is_flagged |= theirs.is_flagged;
        mine.is_guarded |= theirs.is_guarded;
        mine.is_tool_denied |= theirs.is_tool_denied || (key == "audit" && child.has_denied_action);
        self.has_denied_action |= key.is_empty() && child.has_denied_action;
        self.texts_withheld += child.texts_withheld;
    }

    /// Turns the refusals of a guard that only logs into flags.
    fn settle(mut self) -> Self {
        if self.is_log_only {
            self.guards.is_flagged |= self.guards.is_prompt_refused || self.guards.is_answer_refused;
            self.guards.is_prompt_refused = false;
            self.guards.is_answer_refused = false;
        }
        self
    }
}

fn fill<'a, T: FromObject<'a>>(slot: &mut T, value: T) {
    if value.is_object() {
        *slot = value;
    }
}

fn specified<'s>(text: &'s Scalar<'_>) -> Option<&'s str> {
    text.as_str().filter(|text| *text != UNSPECIFIED)
}

fn is_log_only_mode(mode: &str) -> bool {
    let mode: String = mode.chars().filter(char::is_ascii_alphabetic).collect();
    ["logonly", "log", "monitor", "detect", "detectonly", "audit", "report", "reportonly"]
        .iter()
        .any(|word| mode.eq_ignore_ascii_case(word))
}

/// Objects nested deeper than any known layout are skipped.
const DEPTH_MAX: u8 = 6;

struct AiSeed {
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for AiSeed {
    type Value = Ai<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AiSeed {
    type Value = Ai<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ai statistics")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Ai::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Ai::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Ai::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Ai::default())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Ai::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Ai::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Ai::default();
        if self.depth >= DEPTH_MAX {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(all);
        }
        while let Some(item) = seq.next_element_seed(AiSeed { depth: self.depth + 1 })? {
            all.absorb(item, "");
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut ai = Ai::default();
        while let Some(Key(key)) = map.next_key()? {
            ai.read(self.depth, &key, &mut map)?;
        }
        Ok(ai.settle())
    }
}

impl<'de> Deserialize<'de> for Ai<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AiSeed { depth: 0 }.deserialize(deserializer)
    }
}

field_by_value!(Ai);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Ai<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn statistics_are_found_in_every_layout() {
        let layouts = [
            r#"{"meta":{"provider_name":"azure","response_model":"m"},"usage":{"prompt_tokens":1,"completion_tokens":"2","total_tokens":3},"payload":{"request":"secret"}}"#,
            r#"{"ai-request-transformer":{"meta":{"provider_name":"x"},"usage":{}},"ai-proxy":{"meta":{"provider_name":"azure","response_model":"m"},"usage":{"prompt_token":1,"completion_token":2,"total_tokens":3},"payload":{},"cache":{}}}"#,
            r#"{"proxy":{"meta":{"provider_name":"azure","request_model":"m","response_model":"UNSPECIFIED"},"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3.0},"payload":{}},"cache":[]}"#,
        ];
        for json in layouts {
            let ai = read(json);
            assert_eq!((ai.provider(), ai.model()), (Some("azure"), Some("m")), "{json}");
            assert_eq!(ai.tokens(), [Some(1), Some(2), Some(3)], "{json}");
            assert_eq!(ai.texts_withheld, 1, "{json}");
        }
    }

    #[test]
    fn guards_refuse_unless_they_only_log() {
        let refused =
            read(r#"{"proxy":{"ai-lakera-guard":{"input_block_reason":"pii","output_block_reason":""}}}"#);
        assert!(refused.guards.is_prompt_refused && !refused.guards.is_answer_refused);
        for mode in ["LOG_ONLY", "log-only", "monitor"] {
            let json = format!(r#"{{"proxy":{{"g":{{"output_block_reason":"pii","mode":"{mode}"}}}}}}"#);
            let logged = read(&json);
            assert!(logged.guards.is_flagged && !logged.guards.is_answer_refused, "{mode}");
        }
    }

    #[test]
    fn denied_tool_calls_are_seen_in_the_audit_only() {
        assert!(
            read(r#"{"mcp":{"audit":[{"action":"allow"},{"action":"deny"}],"rpc":[]}}"#)
                .guards
                .is_tool_denied
        );
        assert!(read(r#"{"mcp":{"audit":{"action":"deny"}}}"#).guards.is_tool_denied);
        assert!(
            !read(r#"{"mcp":{"audit":[{"action":"allow"}],"rpc":[{"action":"deny"}]}}"#)
                .guards
                .is_tool_denied
        );
        assert!(!read(r#"{"mcp":{"audit":{}}}"#).guards.is_tool_denied);
    }

    #[test]
    fn odd_forms_and_deep_nesting_are_harmless() {
        for json in ["[]", "null", "7", r#""x""#, r#"{"proxy":[]}"#, r#"{"proxy":{"meta":[],"usage":"x"}}"#] {
            assert_eq!(read(json).model(), None, "{json}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        assert_eq!(read(&deep).tokens(), [None; 3]);
    }
}
