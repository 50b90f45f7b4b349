//! Rule: what may be told of a value, by the name it stands under.
//!
//! - In: the rule of the parent, the side, the member's name.
//! - Out: the rule of the member.
//! - Source: `soc2-evidence.md` §5. Names are compared without case, `-`, `_` and `.`.

use super::mask_text;
use super::secret_name::{is_secret, is_secret_header, with_squeezed};
use crate::cursor::unescape;
use corridor_model::Side;
use std::borrow::Cow;

/// What may be told of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Text without secret shapes; members by their names.
    Plain,
    /// The same, and with a pseudonym key without client addresses.
    Detail,
    /// Names; values unless the name is secret.
    Headers,
    /// Names only.
    Query,
    /// A URL without the values of its query.
    Url,
    /// Nothing.
    Withhold,
    /// A statement without literals.
    Sql,
    /// Statistics and verdicts of AI plugins, no payloads.
    Ai,
    /// Azure's `identity`.
    Identity,
    /// Ids and types of a claims dump.
    Claims,
    /// How an activity authenticates: type and resource.
    Authentication,
    /// An activity's input.
    Input,
    /// An activity's output.
    Output,
    /// JSON in a string, else nothing.
    NestedOrMask,
    /// Azure's `authorization` object; a text of that name is a secret.
    AuthorizationOrText,
    /// A client address.
    Address,
    /// A person's display name.
    PersonalName,
    /// The scheme of a credential, which is one word.
    Scheme,
}

/// What is decided for a member of one name under one rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// The rule of its value.
    pub(super) rule: Rule,
    /// Its part in a pair.
    pub(super) role: Option<PairRole>,
    /// Whether the name itself holds no secret.
    pub(super) has_plain_name: bool,
    /// Whether the name may be that of a user.
    pub(super) may_name_user: bool,
    /// Where the name is remembered, if it is.
    pub(super) place: Option<usize>,
}

impl Decision {
    /// Of the member `name` under `parent`.
    pub(super) fn of(parent: Rule, side: Side, name: &str) -> Self {
        Self {
            rule: child(parent, side, name),
            role: pair_role(name, parent, side),
            has_plain_name: matches!(mask_text(name, &mut 0), Cow::Borrowed(_)),
            may_name_user: name.contains('@'),
            place: None,
        }
    }
}

impl Rule {
    /// Whether a text that holds no secret and is no JSON is told as it stands.
    pub(super) fn tells_clean_text(self, side: Side, keyed: bool) -> bool {
        match self {
            Self::Plain | Self::Headers | Self::Ai | Self::Identity | Self::Input | Self::Url => true,
            // What Azure quotes of data is no secret by its shape.
            Self::Detail => side == Side::Kong && !keyed,
            Self::Address | Self::PersonalName => !keyed,
            Self::Query
            | Self::Withhold
            | Self::Sql
            | Self::Claims
            | Self::Authentication
            | Self::Output
            | Self::NestedOrMask
            | Self::AuthorizationOrText
            | Self::Scheme => false,
        }
    }
}

fn child(parent: Rule, side: Side, name: &str) -> Rule {
    match parent {
        Rule::Query | Rule::Withhold | Rule::Sql => parent,
        Rule::Headers if is_secret_header(name) => Rule::Withhold,
        Rule::Headers => with_squeezed(name, header),
        Rule::Claims => {
            if with_squeezed(name, is_told_claim) {
                Rule::Plain
            } else {
                Rule::Withhold
            }
        }
        Rule::Authentication => {
            let is_told = with_squeezed(name, |name| matches!(name, b"type" | b"resource"));
            if is_told { Rule::Plain } else { Rule::Withhold }
        }
        Rule::Output => with_squeezed(name, |squeezed| output(squeezed, side, name)),
        Rule::Ai => with_squeezed(name, |squeezed| {
            if is_secret(name) || is_ai_content(squeezed) { Rule::Withhold } else { Rule::Ai }
        }),
        Rule::Identity => with_squeezed(name, |squeezed| match squeezed {
            b"claims" | b"claim" => Rule::Claims,
            b"authorization" => Rule::AuthorizationOrText,
            _ => general(squeezed, side, name),
        }),
        Rule::Plain
        | Rule::Detail
        | Rule::Url
        | Rule::Input
        | Rule::NestedOrMask
        | Rule::AuthorizationOrText
        | Rule::Address
        | Rule::Scheme
        | Rule::PersonalName => with_squeezed(name, |squeezed| general(squeezed, side, name)),
    }
}

fn general(squeezed: &[u8], side: Side, name: &str) -> Rule {
    if side == Side::Azure && squeezed == b"authorization" {
        return Rule::AuthorizationOrText;
    }
    if is_secret(name) {
        return Rule::Withhold;
    }
    if squeezed.ends_with(b"headers") {
        return Rule::Headers;
    }
    if squeezed.ends_with(b"uri") || squeezed.ends_with(b"url") {
        return Rule::Url;
    }
    match squeezed {
        b"querystring" | b"queryparams" | b"queryparameters" | b"queryargs" | b"uriargs" => Rule::Query,
        b"referer" | b"referrer" | b"href" | b"path" | b"requestpath" => Rule::Url,
        b"body"
        | b"rawbody"
        | b"payload"
        | b"prompt"
        | b"prompts"
        | b"completion"
        | b"completions"
        | b"storedprocedureparameters"
        | b"originalrequest"
        | b"blockedcontent"
        | b"blockedprompt" => Rule::Withhold,
        b"clientip" | b"calleripaddress" | b"ipaddress" | b"ipaddr" | b"clientipaddress" | b"callerip"
        | b"remoteaddr" => Rule::Address,
        b"message"
        | b"errormessage"
        | b"detail"
        | b"details"
        | b"resultdescription"
        | b"reason"
        | b"description"
        | b"failurereason"
        | b"additionalinformation"
        | b"error" => Rule::Detail,
        b"userdisplayname" | b"givenname" | b"surname" | b"fullname" => Rule::PersonalName,
        _ => match side {
            Side::Kong => match squeezed {
                b"ai" => Rule::Ai,
                b"authscheme" => Rule::Scheme,
                b"query" => Rule::Query,
                b"requestbody" | b"responsebody" => Rule::Withhold,
                _ => Rule::Plain,
            },
            Side::Azure => azure(squeezed),
        },
    }
}

fn azure(squeezed: &[u8]) -> Rule {
    match squeezed {
        b"identity" => Rule::Identity,
        b"claims" | b"claim" => Rule::Claims,
        b"input" => Rule::Input,
        b"output" => Rule::Output,
        b"authentication" => Rule::Authentication,
        b"requestbody" | b"responsebody" | b"requestpayload" | b"responsepayload" => Rule::NestedOrMask,
        // A plan quotes its statement with all literals.
        b"explainoutput" => Rule::Withhold,
        b"statement" | b"querytext" | b"command" | b"sqltext" | b"sqlreaderquery" | b"query" | b"script"
        | b"scripts" | b"sqlscript" | b"precopyscript" | b"text" | b"sqlquery" | b"batchtext"
        | b"commandtext" => Rule::Sql,
        _ => Rule::Plain,
    }
}

fn header(squeezed: &[u8]) -> Rule {
    match squeezed {
        b"referer"
        | b"referrer"
        | b"location"
        | b"contentlocation"
        | b"xforwardeduri"
        | b"xoriginaluri"
        | b"xoriginalurl"
        | b"xrewriteurl"
        | b"link"
        | b"refresh"
        | b"destination"
        | b"xenvoyoriginalpath"
        | b"path"
        | b"operationlocation"
        | b"azureasyncoperation" => Rule::Url,
        b"xforwardedfor" | b"xrealip" | b"xclientip" | b"cfconnectingip" | b"trueclientip"
        | b"xazureclientip" | b"xazuresocketip" => Rule::Address,
        b"forwarded" | b"via" => Rule::Detail,
        _ => Rule::Plain,
    }
}

/// Claims that identify by id or say what kind of token it was.
fn is_told_claim(squeezed: &[u8]) -> bool {
    const TOLD: &[&[u8]] = &[
        b"oid",
        b"tid",
        b"appid",
        b"azp",
        b"idtyp",
        b"appidacr",
        b"azpacr",
        b"ver",
        b"aud",
        b"iss",
        b"iat",
        b"nbf",
        b"exp",
        b"scp",
        b"roles",
        b"wids",
        b"acr",
        b"amr",
        b"idp",
        b"xmsmirid",
    ];
    const TOLD_ENDS: &[&[u8]] = &[
        b"/objectidentifier",
        b"/tenantid",
        b"/scope",
        b"/authnmethodsreferences",
        b"/identityprovider",
        b"/authnclassreference",
    ];
    TOLD.contains(&squeezed) || TOLD_ENDS.iter().any(|end| squeezed.ends_with(end))
}

/// Facts of an activity's output that are no content of the answer.
fn output(squeezed: &[u8], side: Side, name: &str) -> Rule {
    const TOLD: &[&[u8]] = &[
        b"adfhttpstatuscodeinresponse",
        b"effectiveintegrationruntime",
        b"effectiveintegrationruntimes",
        b"executionduration",
        b"durationinqueue",
        b"billingreference",
        b"dataread",
        b"datawritten",
        b"filesread",
        b"fileswritten",
        b"rowsread",
        b"rowscopied",
        b"rowsskipped",
        b"copyduration",
        b"throughput",
        b"errors",
        b"usedparallelcopies",
        b"useddataintegrationunits",
        b"executiondetails",
        b"dataconsistencyverification",
        b"sourcepeakconnections",
        b"sinkpeakconnections",
        b"pipelinename",
        b"pipelinerunid",
        b"runid",
        b"statuscode",
        b"status",
        b"resultsetcount",
        b"recordsaffected",
        b"runstatus",
        b"queuedduration",
    ];
    match squeezed {
        _ if is_secret(name) => Rule::Withhold,
        b"adfwebactivityresponseheaders" => Rule::Headers,
        _ if TOLD.contains(&squeezed) => general(squeezed, side, name),
        _ => Rule::Withhold,
    }
}

/// Members of `ai` that hold what people or models wrote.
fn is_ai_content(squeezed: &[u8]) -> bool {
    const CONTENT: &[&[u8]] = &[
        b"payload",
        b"request",
        b"response",
        b"originalrequest",
        b"messages",
        b"prompt",
        b"prompts",
        b"content",
        b"contents",
        b"choices",
        b"completion",
        b"completions",
        b"text",
        b"body",
        b"input",
        b"output",
        b"arguments",
        b"params",
        b"result",
        b"blockedcontent",
        b"blockedprompt",
        b"query",
        b"question",
        b"answer",
        b"matchedtext",
        b"message",
        b"original",
    ];
    // A reason to block quotes what it found.
    const CONTENT_ENDS: &[&[u8]] = &[b"blockreason", b"embeddingsinput"];
    CONTENT.contains(&squeezed) || CONTENT_ENDS.iter().any(|end| squeezed.ends_with(end))
}

/// The part a member plays in a `{"name": …, "value": …}` pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairRole {
    Name,
    Value,
}

/// The part of the member, if the object may be a pair.
fn pair_role(name: &str, rule: Rule, side: Side) -> Option<PairRole> {
    if matches!(rule, Rule::Query | Rule::Claims | Rule::Authentication | Rule::Output | Rule::Withhold) {
        return None;
    }
    with_squeezed(name, |squeezed| match squeezed {
        b"name" | b"header" => Some(PairRole::Name),
        b"key" if side == Side::Azure || rule == Rule::Headers => Some(PairRole::Name),
        b"value" | b"values" => Some(PairRole::Value),
        _ => None,
    })
}

/// What is known of a pair's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairName<'j> {
    Unknown,
    /// As the record has it, between its quotes.
    Known(&'j str),
}

impl<'j> PairName<'j> {
    /// The name of a pair that has this value under `name`, which is no name unless it is a string.
    pub(super) fn or(self, value: &'j str) -> Self {
        let raw = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        raw.map_or(self, Self::Known)
    }

    /// Whether the pair's value is withheld. A header whose name comes later is withheld too.
    pub(super) fn hides_value(self, rule: Rule) -> bool {
        match self {
            Self::Unknown => rule == Rule::Headers,
            Self::Known(raw) => is_secret_header(&unescape(raw).unwrap_or(Cow::Borrowed(raw))),
        }
    }
}
