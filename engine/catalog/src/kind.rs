//! Kinds of data: market, reference, metadata and transactions, each with its standard columns.
//!
//! A kind says which columns a table has, what they mean, by what a row is identified and under which names files have
//! them. Rows of tables *in force* (instruments, contracts, positions) hold from their time on until a later row of the
//! same identity, or until `until`; `known` tells since when that is known, where it is not since then.

use tapestore::schema::SchemaBuilder;
use tapestore::{ColumnType, Schema};

/// Levels of a book of fixed depth, where nobody says how many.
pub const LEVELS: usize = 5;

/// The five classes of data that a trading system keeps; derived data (factors, resampled bars) has no kinds of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What markets send: bars, trades, quotes, depth.
    Market,
    /// What things are: instruments, exchanges, contracts, indices, calendars, corporate actions.
    Reference,
    /// Data on data: state of sources, jobs, parameters.
    Metadata,
    /// What was done: orders, fills, positions, cash.
    Transaction,
}

impl Class {
    fn instrument(self) -> Option<&'static str> {
        match self {
            Self::Market => None,
            Self::Reference => Some("reference"),
            Self::Metadata => Some("metadata"),
            Self::Transaction => Some("transactions"),
        }
    }

    /// `market`, `reference`, `metadata`, `transaction`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Reference => "reference",
            Self::Metadata => "metadata",
            Self::Transaction => "transaction",
        }
    }
}

/// A column of a kind.
#[derive(Clone, Copy, Debug)]
pub struct KindColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type. An [`ColumnType::I64`] that [is an id](KindColumn::id) becomes text where files have text.
    pub kind: ColumnType,
    /// Whether every row has a value.
    pub required: bool,
    /// What it means, and its unit.
    pub meaning: &'static str,
    /// Other names in files: in plain form (lower case, words joined by `_`), or one capital letter, as messages have it.
    pub aliases: &'static [&'static str],
    /// What stands in files, and the value it means; empty: the value itself.
    pub words: &'static [(&'static str, &'static str)],
    /// Whether it is a number or a text, as sources please.
    pub id: bool,
}

const fn column(name: &'static str, kind: ColumnType, meaning: &'static str) -> KindColumn {
    KindColumn { name, kind, required: false, meaning, aliases: &[], words: &[], id: false }
}

const fn text(name: &'static str, meaning: &'static str) -> KindColumn {
    column(name, ColumnType::String, meaning)
}

const fn number(name: &'static str, meaning: &'static str) -> KindColumn {
    column(name, ColumnType::F64, meaning)
}

const fn stamp(name: &'static str, meaning: &'static str) -> KindColumn {
    column(name, ColumnType::Timestamp, meaning)
}

impl KindColumn {
    const fn needed(mut self) -> Self {
        self.required = true;
        self
    }

    const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn means(mut self, words: &'static [(&'static str, &'static str)]) -> Self {
        self.words = words;
        self
    }

    const fn either(mut self) -> Self {
        self.id = true;
        self
    }
}

/// How the side of a trade is written. Makers: a trade whose buyer is the maker was a sale.
const SIDES: [(&str, &str); 13] = [
    ("buy", "buy"),
    ("b", "buy"),
    ("bid", "buy"),
    ("long", "buy"),
    ("false", "buy"),
    ("1", "buy"),
    ("sell", "sell"),
    ("s", "sell"),
    ("ask", "sell"),
    ("a", "sell"),
    ("short", "sell"),
    ("true", "sell"),
    ("-1", "sell"),
];
const BOOK_SIDES: [(&str, &str); 11] = [
    ("bid", "0"),
    ("bids", "0"),
    ("buy", "0"),
    ("b", "0"),
    ("0", "0"),
    ("ask", "1"),
    ("asks", "1"),
    ("offer", "1"),
    ("sell", "1"),
    ("a", "1"),
    ("1", "1"),
];
const BOOK_ACTIONS: [(&str, &str); 24] = [
    ("clear", "0"),
    ("reset", "0"),
    ("r", "0"),
    ("0", "0"),
    ("set", "1"),
    ("level", "1"),
    ("l2update", "1"),
    ("1", "1"),
    ("add", "2"),
    ("added", "2"),
    ("created", "2"),
    ("new", "2"),
    ("a", "2"),
    ("2", "2"),
    ("change", "3"),
    ("changed", "3"),
    ("modify", "3"),
    ("update", "3"),
    ("m", "3"),
    ("3", "3"),
    ("delete", "4"),
    ("deleted", "4"),
    ("cancel", "4"),
    ("4", "4"),
];

const PRICE: &[&str] = &["p", "px", "last", "trade_price"];
const QUANTITY: &[&str] = &["q", "qty", "size", "sz", "amount", "volume", "v"];
const SYMBOL: &[&str] = &["ticker", "instrument", "instid", "code", "s"];
const UNTIL: KindColumn = stamp("until", "when the row ceases to hold; none: when a later one begins")
    .also(&["valid_to", "end_date"]);
const KNOWN: KindColumn = stamp("known", "since when this is known; none: since it holds").also(&[
    "known_at",
    "announced",
    "knowledge_time",
]);

/// How rows of a kind are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// One row per time.
    Time,
    /// By time and these columns, as far as a file has them; without any, every row counts.
    Columns(&'static [&'static str]),
}

struct Spec {
    name: &'static str,
    class: Class,
    columns: &'static [KindColumn],
    identity: Identity,
    /// What rows that replace one another in the course of time have in common; none: rows are events.
    in_force: &'static [&'static str],
    /// Names of the time that go before the usual ones, as written.
    time: &'static [&'static str],
}

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Open, high, low, close, volume by timeframe.
    Bars,
    /// Trades, each by itself.
    Trades,
    /// Best bid and ask.
    Quotes,
    /// Order books of fixed depth, one row each.
    Depth,
    /// Updates of order books, by price or by order.
    Book,
    /// Instruments: names, exchanges, sizes.
    Instruments,
    /// Exchanges.
    Exchanges,
    /// Contracts: multipliers, expiries.
    Contracts,
    /// Constituents of indices, with weights.
    Constituents,
    /// When exchanges are open.
    Calendar,
    /// When instruments, or whole exchanges, were halted.
    Halts,
    /// Splits and dividends of one instrument.
    Actions,
    /// State of sources of data.
    Sources,
    /// Runs of jobs.
    Jobs,
    /// Parameters of strategies, and configuration.
    Parameters,
    /// Orders, one row for each change of state.
    Orders,
    /// Fills.
    Fills,
    /// Positions.
    Positions,
    /// Cash and margin of accounts.
    Cash,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::Bars,
        Self::Trades,
        Self::Quotes,
        Self::Depth,
        Self::Book,
        Self::Instruments,
        Self::Exchanges,
        Self::Contracts,
        Self::Constituents,
        Self::Calendar,
        Self::Halts,
        Self::Actions,
        Self::Sources,
        Self::Jobs,
        Self::Parameters,
        Self::Orders,
        Self::Fills,
        Self::Positions,
        Self::Cash,
    ];

    fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// Its name, which is also the frame of its series; bars have their timeframe.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind that a frame holds, if its name says so.
    pub fn of_frame(frame: &tapestore::Frame) -> Option<Self> {
        match frame.timeframe() {
            Some(_) => Some(Self::Bars),
            None => Self::parse(&frame.to_string()),
        }
    }

    /// To which class it belongs.
    pub fn class(self) -> Class {
        self.spec().class
    }

    /// Its columns. Those of [`Kind::Depth`] depend on the number of levels; see [`Kind::schema`].
    pub fn columns(self) -> &'static [KindColumn] {
        self.spec().columns
    }

    /// The instrument under which its table is kept unless another is named; `None`: it needs one.
    pub fn instrument(self) -> Option<&'static str> {
        // Splits and dividends are looked for beside the prices that they change.
        if self == Self::Actions { None } else { self.class().instrument() }
    }

    /// How its rows are told apart.
    pub fn identity(self) -> Identity {
        self.spec().identity
    }

    /// What rows have in common of which only one is in force at a time; nothing if rows are events.
    pub fn in_force(self) -> &'static [&'static str] {
        self.spec().in_force
    }

    /// Names of the time of a row in files of this kind, as written, that go before the usual ones.
    pub fn time_names(self) -> &'static [&'static str] {
        self.spec().time
    }

    /// The standard schema; of books of fixed depth, with [`LEVELS`] levels.
    pub fn schema(self) -> Schema {
        match self {
            Self::Bars => tapestore::schema::bars(),
            Self::Book => tapestore_query::book::schema(),
            Self::Depth => tapestore_query::depth::schema(LEVELS),
            Self::Actions => tapestore_query::adjust::actions_schema(),
            _ => {
                let (builder, dedup) = match self.identity() {
                    Identity::Time => (SchemaBuilder::unique(), &[][..]),
                    Identity::Columns(names) => (SchemaBuilder::sequence(), names),
                };
                let add = |builder: SchemaBuilder, column: &KindColumn| {
                    let builder = if column.required {
                        builder.column(column.name, column.kind)
                    } else {
                        builder.nullable(column.name, column.kind)
                    };
                    builder.describe(column.meaning)
                };
                let builder = self.columns().iter().fold(builder, add).dedup(dedup);
                builder.build().expect("the columns are constants")
            }
        }
    }
}

const SPECS: [Spec; Kind::ALL.len()] = [
    Spec {
        name: "bars",
        class: Class::Market,
        columns: &[],
        identity: Identity::Time,
        in_force: &[],
        time: &[],
    },
    Spec {
        name: "trades",
        class: Class::Market,
        columns: &[
            column("id", ColumnType::I64, "number of the trade, as the source counts them").either().also(&[
                "t",
                "a",
                "trade_id",
                "tid",
                "tradeid",
                "trade_seq",
                "exec_id",
                "execid",
                "i",
            ]),
            number("price", "price, as the source states it").needed().also(PRICE),
            number("quantity", "quantity, as the source states it").needed().also(QUANTITY),
            text("side", "buy or sell: on which side the taker was")
                .also(&["m", "is_buyer_maker", "isbuyermaker", "taker_side", "direction", "aggressor"])
                .means(&SIDES),
            stamp("received", "when it was received").also(&["local_timestamp", "ts_recv", "received_at"]),
        ],
        identity: Identity::Columns(&["id"]),
        in_force: &[],
        time: &["T", "E"],
    },
    Spec {
        name: "quotes",
        class: Class::Market,
        columns: &[
            number("bid", "best bid; none: nobody buys").also(&[
                "b",
                "bid_price",
                "bidprice",
                "bid_px",
                "bid1",
            ]),
            number("bid_size", "quantity at the best bid").also(&[
                "bid_qty",
                "bidqty",
                "bidsize",
                "bid_sz",
                "bid_amount",
                "bid_quantity",
                "bid1_size",
                "B",
            ]),
            number("ask", "best ask; none: nobody sells").also(&[
                "a",
                "ask_price",
                "askprice",
                "ask_px",
                "ask1",
            ]),
            number("ask_size", "quantity at the best ask").also(&[
                "ask_qty",
                "askqty",
                "asksize",
                "ask_sz",
                "ask_amount",
                "ask_quantity",
                "ask1_size",
                "A",
            ]),
            column("update", ColumnType::I64, "number of the update, as the source counts them").also(&[
                "u",
                "updateid",
                "update_id",
                "seq",
            ]),
            stamp("received", "when it was received").also(&["local_timestamp", "ts_recv", "received_at"]),
        ],
        identity: Identity::Columns(&["update"]),
        in_force: &[],
        time: &["T", "E"],
    },
    Spec {
        name: "depth",
        class: Class::Market,
        columns: &[],
        identity: Identity::Columns(&[]),
        in_force: &[],
        time: &["T", "E"],
    },
    Spec {
        name: "book",
        class: Class::Market,
        columns: &[
            column(
                "action",
                ColumnType::U8,
                "0 clear, 1 set the quantity of a price, 2 add, 3 change, 4 delete an order",
            )
            .needed()
            .also(&["type", "event"])
            .means(&BOOK_ACTIONS),
            column("side", ColumnType::U8, "0 bid, 1 ask").needed().also(&["direction"]).means(&BOOK_SIDES),
            number("price", "price, as the source states it; 0 for clear").needed().also(PRICE),
            number("quantity", "quantity at the price or of the order; 0 removes the price")
                .needed()
                .also(QUANTITY),
            column("order", ColumnType::I64, "number of the order, for actions 2 to 4")
                .also(&["id", "order_id", "orderid", "oid"]),
            column("update", ColumnType::I64, "number of the update, as the source counts them").also(&[
                "u",
                "seq",
                "sequence",
                "update_id",
            ]),
        ],
        identity: Identity::Columns(&[]),
        in_force: &[],
        time: &["T", "E"],
    },
    Spec {
        name: "instruments",
        class: Class::Reference,
        columns: &[
            text("symbol", "the instrument, as series name it").needed().also(SYMBOL),
            text("name", "its name for people"),
            text("exchange", "where it is traded").also(&["venue", "market"]),
            text("type", "stock, fund, future, option, spot, …").also(&[
                "instrument_type",
                "insttype",
                "asset_class",
            ]),
            text("currency", "in which prices are").also(&["quote", "quote_asset", "quoteccy"]),
            text("sector", "sector"),
            text("industry", "industry"),
            number("tick_size", "least step of prices").also(&["ticksize", "ticksz"]),
            number("lot_size", "least step of quantities").also(&["lotsize", "lotsz", "step_size"]),
            text("status", "listed, suspended, delisted, …").also(&["state"]),
            UNTIL,
            KNOWN,
        ],
        identity: Identity::Columns(&["symbol", "known"]),
        in_force: &["symbol"],
        time: &["valid_from", "effective"],
    },
    Spec {
        name: "exchanges",
        class: Class::Reference,
        columns: &[
            text("exchange", "its short name").needed().also(&["mic", "code", "venue"]),
            text("name", "its name for people"),
            text("country", "country"),
            text("timezone", "time zone, such as Asia/Hong_Kong").also(&["tz"]),
            text("currency", "currency"),
            UNTIL,
            KNOWN,
        ],
        identity: Identity::Columns(&["exchange", "known"]),
        in_force: &["exchange"],
        time: &["valid_from", "effective"],
    },
    Spec {
        name: "contracts",
        class: Class::Reference,
        columns: &[
            text("symbol", "the contract, as series name it").needed().also(SYMBOL),
            text("underlying", "on what").also(&["uly"]),
            text("exchange", "where it is traded").also(&["venue", "market"]),
            number("multiplier", "pieces of the underlying in one contract")
                .also(&["ctval", "contract_size"]),
            number("tick_size", "least step of prices").also(&["ticksize", "ticksz"]),
            number("margin", "share of the value that is deposited").also(&["margin_rate"]),
            stamp("expiry", "when it expires").also(&["exptime", "expiration", "delivery_date"]),
            number("strike", "price at which an option is exercised").also(&["strike_price"]),
            text("settlement", "cash or physical"),
            text("currency", "in which it is settled").also(&["settleccy"]),
            UNTIL,
            KNOWN,
        ],
        identity: Identity::Columns(&["symbol", "known"]),
        in_force: &["symbol"],
        time: &["valid_from", "effective"],
    },
    Spec {
        name: "constituents",
        class: Class::Reference,
        columns: &[
            text("index", "the index").needed().also(&["index_code", "index_symbol"]),
            text("member", "an instrument in it").needed().also(&["symbol", "ticker", "constituent", "code"]),
            number("weight", "its weight in the index"),
            number("shares", "its pieces in the index"),
            UNTIL,
            KNOWN,
        ],
        identity: Identity::Columns(&["index", "member", "known"]),
        in_force: &["index", "member"],
        time: &["valid_from", "effective"],
    },
    Spec {
        name: "calendar",
        class: Class::Reference,
        columns: &[
            text("exchange", "the exchange").needed().also(&["mic", "venue", "market"]),
            text("status", "open, closed, half day").also(&["state"]),
            stamp("open", "when the session begins").also(&["open_time", "session_open"]),
            stamp("close", "when the session ends").also(&["close_time", "session_close"]),
            text("note", "why: a holiday, a storm").also(&["holiday", "reason"]),
            KNOWN,
        ],
        identity: Identity::Columns(&["exchange", "open", "known"]),
        in_force: &[],
        time: &["day", "date"],
    },
    Spec {
        name: "halts",
        class: Class::Reference,
        columns: &[
            text("symbol", "the instrument, as series name it, or the exchange if all of it is halted")
                .needed()
                .also(SYMBOL),
            text("reason", "why").also(&["note", "status"]),
            stamp("until", "when it trades again; none: it does not")
                .also(&["to", "valid_to", "end", "resumed"]),
            KNOWN,
        ],
        identity: Identity::Columns(&["symbol", "known"]),
        in_force: &["symbol"],
        time: &["from", "start", "halted", "valid_from"],
    },
    Spec {
        name: "actions",
        class: Class::Reference,
        columns: &[
            text("kind", "split or dividend").needed().also(&["type", "action"]),
            number("old", "pieces before a split"),
            number("new", "pieces after it"),
            number("amount", "money for each piece").also(&["dividend", "cash"]),
            stamp("known", "when it was announced; none: when it took effect").also(&[
                "known_at",
                "announced",
                "declared",
            ]),
        ],
        identity: Identity::Columns(&["kind"]),
        in_force: &[],
        time: &["ex_date"],
    },
    Spec {
        name: "sources",
        class: Class::Metadata,
        columns: &[
            text("provider", "where data comes from").needed().also(&["source_name", "vendor"]),
            text("dataset", "what is fetched from there"),
            text("status", "how it stands").also(&["state"]),
            stamp("last_success", "when data came last").also(&["last_success_time"]),
            number("quality", "score from 0 to 1").also(&["quality_score", "score"]),
            column("rows", ColumnType::I64, "rows that came last").also(&["row_count"]),
            text("message", "what the source said").also(&["error"]),
        ],
        identity: Identity::Columns(&["provider", "dataset"]),
        in_force: &["provider", "dataset"],
        time: &["checked", "updated_at"],
    },
    Spec {
        name: "jobs",
        class: Class::Metadata,
        columns: &[
            text("job", "what runs").needed().also(&["task", "name"]),
            column("run", ColumnType::I64, "number of the run").either().also(&["id", "run_id"]),
            text("status", "running, ok, failed").needed().also(&["state", "result"]),
            stamp("finished", "when it ended").also(&["finished_at", "end_time"]),
            column("rows", ColumnType::I64, "rows that it wrote").also(&["row_count"]),
            text("message", "what it said").also(&["error"]),
        ],
        identity: Identity::Columns(&["job", "run"]),
        in_force: &[],
        time: &["started", "started_at"],
    },
    Spec {
        name: "parameters",
        class: Class::Metadata,
        columns: &[
            text("owner", "strategy or program").needed().also(&["strategy", "program"]),
            text("name", "name of the parameter").needed().also(&["parameter", "key"]),
            text("value", "its value").needed(),
            UNTIL,
            KNOWN,
        ],
        identity: Identity::Columns(&["owner", "name", "known"]),
        in_force: &["owner", "name"],
        time: &["valid_from", "effective"],
    },
    Spec {
        name: "orders",
        class: Class::Transaction,
        columns: &[
            column("order", ColumnType::I64, "number of the order")
                .either()
                .needed()
                .also(&["order_id", "orderid", "id"]),
            text("instrument", "what is traded").needed().also(&["symbol", "ticker"]),
            text("side", "buy or sell").needed().means(&SIDES).also(&["direction"]),
            text("type", "limit, market, …").also(&["order_type"]),
            number("price", "limit; none: at the market").also(PRICE),
            number("quantity", "quantity asked for").needed().also(QUANTITY),
            number("filled", "quantity filled so far").also(&[
                "filled_quantity",
                "executed_qty",
                "executedqty",
            ]),
            text("status", "new, partial, filled, cancelled, rejected").needed().also(&["state"]),
            text("account", "account"),
            text("strategy", "strategy"),
            text("message", "why it was rejected").also(&["reason"]),
        ],
        identity: Identity::Columns(&["order", "status", "filled"]),
        in_force: &["order"],
        time: &[],
    },
    Spec {
        name: "fills",
        class: Class::Transaction,
        columns: &[
            column("fill", ColumnType::I64, "number of the fill")
                .either()
                .needed()
                .also(&["fill_id", "trade_id", "exec_id", "id"]),
            column("order", ColumnType::I64, "number of the order").either().also(&["order_id", "orderid"]),
            text("instrument", "what was traded").needed().also(&["symbol", "ticker"]),
            text("side", "buy or sell").needed().means(&SIDES).also(&["direction"]),
            number("price", "price").needed().also(PRICE),
            number("quantity", "quantity").needed().also(QUANTITY),
            number("fee", "what it cost").also(&["commission"]),
            text("fee_currency", "in which currency").also(&["commission_asset", "commissionasset"]),
            text("account", "account"),
            text("strategy", "strategy"),
        ],
        identity: Identity::Columns(&["fill"]),
        in_force: &[],
        time: &[],
    },
    Spec {
        name: "positions",
        class: Class::Transaction,
        columns: &[
            text("account", "account"),
            text("instrument", "what is held").needed().also(&["symbol", "ticker"]),
            number("quantity", "how much; below zero: owed").needed().also(QUANTITY),
            number("price", "average price paid").also(&[
                "average_price",
                "avg_price",
                "entry_price",
                "cost",
            ]),
            number("value", "value at the market").also(&["market_value"]),
            number("profit", "profit that is not realised").also(&["pnl", "unrealized_pnl"]),
        ],
        identity: Identity::Columns(&["account", "instrument"]),
        in_force: &["account", "instrument"],
        time: &[],
    },
    Spec {
        name: "cash",
        class: Class::Transaction,
        columns: &[
            text("account", "account"),
            text("currency", "currency").needed().also(&["asset", "ccy"]),
            number("balance", "what there is").needed().also(&["cash", "total"]),
            number("available", "what can be used").also(&["free", "availbal"]),
            number("margin", "what is deposited").also(&["locked", "frozen"]),
            number("equity", "value of the account").also(&["net_value", "nav"]),
        ],
        identity: Identity::Columns(&["account", "currency"]),
        in_force: &["account", "currency"],
        time: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_in_its_place_and_has_a_schema() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
            let schema = kind.schema();
            assert_eq!(schema.problem(), None, "{}", kind.name());
            for name in kind.in_force() {
                assert!(schema.column(name).is_some(), "{} {name}", kind.name());
            }
            for column in schema.columns {
                assert!(!column.description.is_empty(), "{} {}", kind.name(), column.name);
            }
        }
    }

    #[test]
    fn the_kind_of_a_book_has_the_columns_of_a_book() {
        let schema = Kind::Book.schema();
        let same = schema.columns.iter().zip(Kind::Book.columns());
        assert_eq!(schema.columns.len(), Kind::Book.columns().len());
        for (own, declared) in same {
            let declared = (declared.name, declared.kind, !declared.required, declared.meaning);
            assert_eq!((own.name.as_str(), own.kind, own.nullable, own.description.as_str()), declared);
        }
    }
}
