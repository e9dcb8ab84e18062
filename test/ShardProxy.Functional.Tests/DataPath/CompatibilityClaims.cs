namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// What holds each line of <c>docs/compatibility.md</c>: statements with their answers (<see cref="Runs"/>, an SHP code or an SQLSTATE), run by
/// <see cref="CompatibilityDocumentTests"/>, and tests by fixture and method.
/// </summary>
internal static class CompatibilityClaims
{
    public const string Runs = "runs";

    public static readonly IReadOnlyDictionary<string, Held> All = new Dictionary<string, Held>(StringComparer.Ordinal)
    {
        ["Simple and extended queries, pipelines, portals with row limits, COPY in and out"] = By("SameAsPostgresTests.TheSameMessagesComeBack"),
        ["Row limits of portals over several nodes"] = By("OpenResultTests.TheSameMessagesComeBack"),
        ["Prepared statements of the protocol"] = By("SameAsPostgresTests.TheSameMessagesComeBackWhileOtherClientsUseTheServers", "ShardedTests.PreparedStatementsFollowTheirKeysOverServers", "PreparedMemoryTests.AClientsStatementsAreBoundedInBytes"),
        ["Names of prepared statements"] = By("SameAsPostgresTests.TheSameMessagesComeBack", "UnshardedTests.NamesOfStatementsAreShared", "SameAsPostgresTests.AnExecuteIsRoutedByItsStatement"),
        ["A pipeline outside a transaction block that touches several nodes"] =
            By("ShardedTests.APipelineOutsideABlockIsOneTransactionOverItsNodes", "SpreadPipelineTests.PipelinesOutsideABlockAreOneTransactionOverTheNodes", "ShardedTests.APipelineFromAWriteOverSeveralNodesOnIsOneTransaction"),
        ["A simple query or function call behind executed statements, without a Sync between"] =
            By("UnshardedTests.AQueryDoesNotEndAnImplicitTransactionOfThePipeline", "SameAsPostgresTests.TheSameMessagesComeBack"),
        ["Several statements in one query string"] = By(
            ["StatementStringTests.IsWhatOnePostgresDoes", "StatementStringTests.WhatCannotBeOneTransactionIsRefused"],
            ("SELECT * FROM plain; SELECT 2", Runs),
            ("SELECT * FROM a WHERE id = 1; SELECT * FROM a WHERE id = 2; SELECT * FROM a WHERE id = 3; SELECT * FROM a WHERE id = 4; SELECT * FROM a WHERE id = 5", Runs),
            ("SELECT count(*) FROM a; VACUUM a", "SHP-213")),
        ["Cancel"] = By("ServerLossTests.ACancelReachesTheServerAtWorkAndNobodyElse", "CancelPhaseTests.WhileItWaitsForAConnection", "CancelPhaseTests.DuringACommitOverNodesAllOrNothing"),
        ["Syntax newer than PostgreSQL 15 (`MERGE … RETURNING`, `JSON_TABLE`, `RETURNING WITH (OLD AS …)`)"] = By("NewerSyntaxTests.NewerSyntaxIsTheServersOnUnshardedTables"),
        ["Log-in"] = By("LoginMethodTests.Md5LetsInWhoKnowsThePassword", "LoginMethodTests.ACertificateIsAProof", "LoginMethodTests.TheFirstRuleThatMatchesDecides"),
        ["TLS"] = By("ClientTlsTests.LibpqConnectsEncrypted", "NodeTlsTests.TheServersSeeAnEncryptedConnection"),
        ["GSS encryption"] = By("ClientTlsTests.GssapiIsDeclinedAndTlsMayFollow"),
        ["Protocol versions"] = By("LoginMethodTests.NewerProtocolsAreNegotiatedDown"),
        ["Replication connections"] = By("HostileInputTests.NobodyGetsInWithGarbage"),
        ["Database names"] = By("TransparencyTests.Another_database_is_the_home_nodes_and_an_unknown_one_gives_the_servers_error"),
        ["They live on the home node."] = By("SameAsPostgresTests.TheSameMessagesComeBack", "UnshardedTests.TheSameMessagesComeBack"),
        ["As long as no table is"] = By("UnshardedTests.TheSameMessagesComeBack", "TransparencyTests.A_session_of_psql_runs_as_on_one_server", "TransparencyTests.A_dump_is_the_same_as_a_direct_one"),
        ["A new connection is not a new server session: `pg_stat_database.sessions` grows with server connections, and a statistics view may lag by what another server has not reported yet"] =
            By("DifferenceTests.ANewConnectionIsNoNewServerSession"),
        ["A library that another client's function or `LOAD` brought in is loaded already: a parameter of its prefix that it does not take is refused at once, not at `LOAD`, and one that was set before is taken back with the warning of `LOAD` when the client meets such a server"] =
            By("SessionTruthTests.ALibraryThatAnotherClientLoadedIsLoaded", "LateLibraryTests.AValueThatALoadedLibraryRefusesIsTakenBackWithAWarning"),
        ["The database in `database` has the schemas `shardproxy` and `shardproxy_catalog`, with three `SECURITY DEFINER` functions; other databases have nothing of the proxy's"] =
            Says(("SELECT 1 / count(*) FROM pg_namespace WHERE nspname = 'shardproxy'", Runs)),
        ["A statement runs on one node"] = By("ShardedTests.EveryRowLiesWhereItsHashSaysSo", "GatherTests.IsWhatOnePostgresAnswers", "GatherTests.WhatItGathersIsBounded"),
        ["`key = literal` or `= $1`, with a cast to the key's own type, `'1'` as well as `1`"] = Says(
            ("SELECT * FROM a WHERE id = 1", Runs), ("SELECT * FROM a WHERE id = '1'", Runs), ("SELECT * FROM a WHERE id = 1::bigint", Runs), ("SELECT * FROM names WHERE name = 'x'", Runs)),
        ["`key IN (…)`, `key = ANY (ARRAY[…])`, `key = a OR key = b`, `(key, x) = (1, 2)`"] = Says(
            ("SELECT * FROM a WHERE id IN (1, 1)", Runs), ("SELECT * FROM a WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8, 9)", Runs), ("SELECT * FROM a WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8, 9) LIMIT 1 FOR UPDATE", "SHP-202"), ("DELETE FROM a WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8, 9)", Runs), ("SELECT * FROM a WHERE id = ANY (ARRAY[3, 3])", Runs),
            ("SELECT * FROM a WHERE id = 1 OR id = 1", Runs), ("SELECT * FROM a WHERE (id, v) = (1, 'x')", Runs)),
        ["In a `BY RANGE` group: `key < …`, `<=`, `>`, `>=`, `BETWEEN`, `(a, b) > (1, 2)`, equality of the key's first columns"] = By(
            "RangeGroupTests.A_table_answers_as_a_plain_one_does", "RangeGroupTests.A_key_of_several_columns_prunes_by_its_first_ones_and_its_tables_are_co_located"),
        ["Joins on the key within one group: `USING`, `ON`, `LEFT JOIN`, subqueries, `EXISTS`, CTEs"] = Says(
            ("SELECT * FROM a JOIN b ON b.a_id = a.id WHERE a.id = 1", Runs), ("SELECT * FROM a LEFT JOIN b ON b.a_id = a.id WHERE a.id = 1", Runs),
            ("SELECT * FROM a WHERE a.id = 1 AND EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id)", Runs), ("WITH q AS (SELECT * FROM a WHERE id = 1) SELECT * FROM q", Runs)),
        ["Joins with replicated tables"] = Says(("SELECT * FROM a JOIN ref ON ref.v = a.v WHERE a.id = 1", Runs)),
        ["Joins with unsharded tables"] = Says(("SELECT * FROM a, plain WHERE a.id = 1 AND plain.id = 1", Runs), ("UPDATE a SET v = 'x' FROM plain WHERE a.id = 1 AND plain.id = 1", Runs), ("UPDATE a SET v = 'x' FROM plain WHERE a.ctid = plain.ctid", "SHP-203")),
        ["Joins over two groups"] = Says(("SELECT * FROM a, names WHERE a.id = 1 AND name = 'x'", Runs), ("DELETE FROM a USING names WHERE a.id = 1 AND name = 'x'", Runs), ("DELETE FROM a USING names WHERE a.ctid = names.ctid", "SHP-204")),
        ["A key that is another type (`1.0` for a bigint)"] = Says(("SELECT * FROM a WHERE id = 1.0", Runs), ("DELETE FROM a WHERE id = 1.0", Runs), ("INSERT INTO a VALUES (1.0)", "SHP-206")),
        ["A key from an expression or subquery (`abs(1)`, `(SELECT 1)`), ranges of hashed keys, `IS NOT DISTINCT FROM`, `= ANY ('{1}')`, no key"] = Says(
            ("SELECT * FROM a WHERE id = abs(1)", Runs), ("SELECT * FROM a WHERE id = (SELECT 1)", Runs), ("SELECT * FROM a WHERE id > 3", Runs), ("DELETE FROM a WHERE id > 3", Runs),
            ("SELECT * FROM a WHERE id IS NOT DISTINCT FROM 1", Runs), ("SELECT * FROM a WHERE id = ANY ('{1}')", Runs), ("SELECT * FROM a", Runs)),
        ["`count(*)`, `count(x)`, `sum`, `min`, `max` of one table, with any WHERE, no GROUP BY; also as scalar subqueries of a SELECT without FROM"] = Says(
            ("SELECT count(*), sum(n), min(id), max(id) FROM a WHERE v = 'x'", Runs), ("SELECT (SELECT count(*) FROM a)", Runs), ("SELECT max(v) FROM a", Runs)),
        ["`avg`, `count(DISTINCT …)`, `GROUP BY`, `ORDER BY`, `LIMIT`, windows, CTEs, `UNION`, plain SELECT without the key"] = Says(
            ("SELECT avg(n) FROM a", Runs), ("SELECT count(DISTINCT n) FROM a", Runs), ("SELECT v, count(*) FROM a GROUP BY v", Runs), ("SELECT * FROM a ORDER BY id", Runs), ("SELECT rank() OVER (ORDER BY id) FROM a", Runs)),
        ["A SELECT over several nodes that names `ctid` or another system column, `schema.table.column`, a function that changes something or looks at its server (`nextval`, `set_config`, `pg_…`), or locks rows"] = Says(
            ("SELECT ctid FROM a", "SHP-201"), ("SELECT public.a.id FROM public.a", "SHP-201"), ("SELECT set_config('x.y', v, false) FROM a", "SHP-201"), ("SELECT pg_backend_pid() FROM a", "SHP-201"), ("SELECT * FROM a LIMIT 1 FOR UPDATE", "SHP-201")),
        ["A SELECT over several nodes in a block that reads the present from a string (`'now'`) or by `age(x)`"] = By("GatherTests.TheTimeIsTheBlocksOwn"),
        ["A SELECT over several nodes that would mean something else on gathered rows; any whose rows have to be brought together under a DateStyle that is not ISO, or `extra_float_digits` below 1; in a block any that needs rows of a table that the block itself has locked exclusively (`TRUNCATE`, `ALTER TABLE`, `LOCK`)"] = Says(
            ("SELECT coalesce(x, y) FROM a x, a y", "SHP-225"), ("SET datestyle = 'German'", Runs), ("SELECT * FROM a ORDER BY id", "SHP-225"),
            ("SET datestyle = 'ISO'", Runs), ("SET extra_float_digits = 0", Runs), ("SELECT * FROM a ORDER BY id", "SHP-225")),
        ["`INSERT … VALUES`, `ON CONFLICT`, `RETURNING`"] = By(
            ["SplitInsertTests.IsWhatOnePostgresDoes"], ("INSERT INTO a VALUES (1, 'x') ON CONFLICT DO NOTHING RETURNING *", Runs),
            ("INSERT INTO a VALUES (1), (2), (3), (4), (5), (6), (7), (8) ON CONFLICT DO NOTHING", Runs),
            ("INSERT INTO a (id, v) VALUES (1, (SELECT 'v' FROM b WHERE a_id = 1)), (2, ''), (3, ''), (4, ''), (5, ''), (6, ''), (7, ''), (8, '')", "SHP-202")),
        ["`INSERT … SELECT` into a sharded table"] = By(
            ["PullInsertTests.IsWhatOnePostgresDoes", "PullInsertTests.ManyRowsPassInBoundedMemoryAndOneMoment"], ("INSERT INTO a SELECT 9000001", Runs), ("INSERT INTO a SELECT id + 9000001 FROM plain", Runs)),
        ["The same with `OVERRIDING USER VALUE`, with `RETURNING` behind a `WITH` in front, without the key's columns unless they are drawn from a sequence or random UUIDs, or with a query that is refused alone"] = Says(
            ("INSERT INTO a OVERRIDING USER VALUE SELECT 1", "SHP-201"), ("WITH w AS (SELECT 1) INSERT INTO a SELECT 1 RETURNING id", "SHP-201"), ("INSERT INTO a (v) SELECT 'x'", "SHP-201")),
        ["The same with `extra_float_digits` below 1 or another `DateStyle` or `IntervalStyle` than the defaults"] = By("PullInsertTests.ValuesAreNeverCarriedInATextThatLosesThem"),
        ["`UPDATE`, `DELETE` with the key"] = Says(
            ("UPDATE a SET v = 'y' WHERE id = 1", Runs), ("DELETE FROM a WHERE id = 1", Runs)),
        ["`UPDATE` of the key to a constant"] = By(
            ["KeyUpdateTests.IsWhatOnePostgresDoes", "KeyUpdateTests.ATableWithATriggerKeepsItsRows"], ("UPDATE a SET id = 77 WHERE id = 7777", Runs), ("UPDATE a SET id = id + 1 WHERE id = 1", "SHP-205")),
        ["`INSERT … VALUES` with a key from an expression (`nextval('s')`, `1 + 1`, a subquery over replicated tables)"] =
            By(["SplitInsertTests.IsWhatOnePostgresDoes", "DefaultKeyTests.KeysDrawnInTheStatement"], ("INSERT INTO a (id) VALUES (400000 + 1)", Runs), ("INSERT INTO a (id) VALUES (2.5 * 2)", "SHP-206")),
        ["`INSERT` without the key, or with `DEFAULT` for it, where the key is a serial or identity column, `DEFAULT gen_random_uuid()`, a constant, or has no default"] =
            By("DefaultKeyTests.EachRowIsStoredOnceWhereItsKeyBelongs", "DefaultKeyTests.CurrvalAndLastvalSayWhichKeyItIs", "DefaultKeyTests.WhatIsNotSureIsRefused"),
        ["`UPDATE`, `DELETE` without the key, or with keys of several nodes"] = By(
            ["NodeWriteTests.IsWhatOnePostgresDoes", "NodeWriteTests.CopiesOfRowsOnOtherNodesAreLeftAlone", "NodeWriteTests.RowsComeInBoundedMemoryAndInTheClientsFormat"],
            ("DELETE FROM a", Runs), ("UPDATE a SET v = b.v FROM b WHERE b.a_id = a.id", Runs)),
        ["The same with other tables or subqueries: unsharded tables, other groups, joins without the key, `LIMIT`, windows and any aggregates in subqueries, `WITH`"] =
            By(["SuppliedWriteTests.IsWhatOnePostgresDoes", "SuppliedWriteTests.CopiesOfAMovingRangeAreLeftAlone"], ("DELETE FROM a WHERE n > (SELECT avg(n) FROM a)", Runs)),
        ["The same with a function of the user's or one that looks at its server, `nextval`, `random()` in a part that is computed once, `ctid` and other physical columns"] =
            By(["NodeWriteTests.WhatIsNotSureIsRefused", "SuppliedWriteTests.WhatNodesCannotProveIsRefused"], ("UPDATE a SET n = lastval()", "SHP-201"), ("DELETE FROM a WHERE ctid = '(0,1)'", "SHP-201")),
        ["`WITH` that holds `INSERT`, `UPDATE` or `DELETE`"] = By(
            ["WritingWithTests.EachPartWritesWhereItsRowsAre", "WritingWithTests.ParametersGoToThePartsThatHaveThem"], ("WITH q AS (DELETE FROM a WHERE n = 7777 RETURNING id) SELECT count(*) FROM q", Runs)),
        ["The same where a later part names a table that an earlier one writes, but where both are an `INSERT`, the later without `ON CONFLICT`; with views, inheritance, triggers (but foreign keys' checks), volatile functions, `RECURSIVE`, and an `INSERT … SELECT` into a sharded table or a write of a replicated one within the `WITH`"] =
            By(["WritingWithTests.WhatWouldSeeTheWritesOfAnotherPartIsRefused", "WritingWithTests.WhatMayReachATableUnseenIsRefused"], ("WITH q AS (DELETE FROM a WHERE n = 7777 RETURNING id) SELECT count(*) FROM a", "SHP-201")),
        ["`INSERT`, `UPDATE`, `DELETE` and `MERGE` of an unsharded table that read sharded ones"] =
            By(["SuppliedWriteTests.IsWhatOnePostgresDoes"], ("UPDATE plain SET id = plain.id FROM a WHERE a.id = plain.id", Runs)),
        ["`MERGE` into a sharded table"] =
            By(["SuppliedWriteTests.MergesAsOnePostgresDoes"], ("MERGE INTO a USING (VALUES (1)) s(i) ON a.id = s.i WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (s.i)", Runs)),
        ["`MERGE` that inserts another key than `ON` compares, or compares a key with a value of another type; one that updates the key; into a replicated table"] = Says(
            ("MERGE INTO a USING (VALUES (1)) s(i) ON a.id = s.i WHEN NOT MATCHED THEN INSERT (id) VALUES (s.i + 1)", "SHP-210"), ("MERGE INTO a USING (VALUES (1.0)) s(i) ON a.id = s.i WHEN NOT MATCHED THEN INSERT (id) VALUES (s.i)", "SHP-206"),
            ("MERGE INTO a USING (VALUES (1)) s(i) ON a.id = s.i WHEN MATCHED THEN UPDATE SET id = 7", "SHP-210"), ("MERGE INTO ref USING (VALUES ('x')) s(i) ON ref.v = s.i WHEN MATCHED THEN DELETE", "SHP-210")),
        ["A write over several nodes that reads the present from a string (`'now'`), or an `UPDATE` of them that sets a column to a `DEFAULT` of `now()`"] = Says(("UPDATE a SET v = 'now'", "SHP-226")),
        ["`SELECT … FOR UPDATE` and its like, `NOWAIT`, `SKIP LOCKED`"] = By(
            ["LockedReadTests.IsWhatOnePostgresAnswers", "LockedReadTests.RowsAreLockedOnTheirNodes"], ("SELECT * FROM a WHERE id = 1 LIMIT 1 FOR UPDATE", Runs), ("SELECT * FROM a FOR UPDATE", Runs)),
        ["SQL-level `PREPARE`, `EXECUTE`"] = By(
            ["SqlPrepareTests.IsWhatOnePostgresAnswers"], ("PREPARE p AS SELECT * FROM a WHERE n = $1", Runs), ("EXECUTE p(1)", Runs), ("EXECUTE p(random())", "SHP-210")),
        ["`CREATE TABLE … AS`"] = By("CreateAsTests.IsWhatOnePostgresDoes", "CreateAsTests.ManyRowsArriveInOneMoment"),
        ["`TABLESAMPLE`, `WHERE CURRENT OF`, `SELECT INTO`, `EXPLAIN EXECUTE`"] = Says(
            ("SELECT * FROM a TABLESAMPLE SYSTEM (1) WHERE id = 1", "SHP-210"),
            ("DELETE FROM a WHERE CURRENT OF c", "SHP-210"), ("SELECT * INTO copied FROM a WHERE id = 1", "SHP-210"),
            ("PREPARE p AS SELECT * FROM a WHERE id = 1", Runs), ("EXPLAIN EXECUTE p", "SHP-210")),
        ["`EXPLAIN` with the key"] = Says(("EXPLAIN SELECT * FROM a WHERE id = 1", Runs), ("EXPLAIN SELECT * FROM a", Runs), ("EXPLAIN ANALYZE SELECT v FROM a ORDER BY v", Runs), ("EXPLAIN (FORMAT json) SELECT * FROM a", "SHP-201"), ("EXPLAIN DELETE FROM a", "SHP-201")),
        ["`COPY t FROM STDIN`, text, csv or binary, with any options but those of the next row"] = By("ShardedTests.CopyPutsEveryRowOnItsNode", "ShardedCopyTests.BinaryRowsOfEveryKeyTypeLieOnTheirNodes"),
        ["The same with `WHERE`, `FORCE_NOT_NULL`, an `ENCODING` other than UTF8, a server-side file, a column list without the key; an end mark `\\.` behind other data of its line, a last line without its end that ends in a backslash; bare carriage returns as line ends"] = By(
            ["ShardedTests.CopyNeverGuessesWhereARowEnds", "ShardedCopyTests.AnEndMarkEndsAllNodesOrNone", "ShardedCopyTests.ALastLineWithoutItsEnd"],
            ("COPY a FROM STDIN WHERE id > 1", "SHP-222"), ("COPY a FROM STDIN (FORMAT csv, FORCE_NOT_NULL (v))", "SHP-222"), ("COPY a FROM STDIN (ENCODING 'LATIN1')", "SHP-222"),
            ("COPY a FROM '/nowhere'", "SHP-222"), ("COPY a (v) FROM STDIN", "SHP-222")),
        ["`COPY t TO STDOUT`, `COPY (SELECT …) TO STDOUT`"] = Says(("COPY a TO STDOUT", Runs), ("COPY a TO '/tmp/none'", "SHP-201"), ("COPY (SELECT * FROM a WHERE id = 1) TO STDOUT", Runs), ("COPY (SELECT * FROM a) TO STDOUT", Runs), ("COPY (SELECT * FROM a) TO '/tmp/none'", "SHP-201")),
        ["Reading a view over the table, also over other such views, in a SELECT or a write of another table"] = By("CatalogKnowledgeTests.IsWhatOnePostgresAnswers", "CatalogKnowledgeTests.AViewGoesWithItsDefinition"),
        ["Such a view in any other statement, as `schema.view.column`, `ONLY view`, with row locks; for a user who may not read every table below it; after `SET ROLE`, or DDL in the same transaction; a temporary view"] = By(
            ["CatalogKnowledgeTests.WhatWouldMeanOneNodesRowsIsRefused", "TableDistributionTests.Who_may_read_a_view_and_what_is_below_it_is_known"], ("SELECT * FROM a_view", "SHP-207"), ("DELETE FROM a_view", "SHP-207")),
        ["`CREATE MATERIALIZED VIEW` of it, and `REFRESH` of one made before"] = Says(("CREATE MATERIALIZED VIEW kept AS SELECT * FROM a", "SHP-229")),
        ["A function of the user's in a SELECT over several nodes"] = By("CatalogKnowledgeTests.IsWhatOnePostgresAnswers", "CatalogKnowledgeTests.WhatWouldMeanOneNodesRowsIsRefused", "PureFunctionTests.OnlyWhatComputesIsPure"),
        ["A function or `DO` block whose body names the table"] = Says(("SELECT touches_a()", "SHP-208"), ("DO $$ BEGIN DELETE FROM a; END $$", "SHP-208")),
        ["Writing any table, sharded or not, with a trigger, rule, default or check that names the table in its code"] = By("CatalogKnowledgeTests.WhatWouldMeanOneNodesRowsIsRefused"),
        ["A name without schema after `SET search_path`"] = By(["SessionTruthTests.ASearchPathSetForABlockOrByAFunctionIsKnownToRouting"], ("SET search_path = pg_temp, public", Runs), ("SELECT * FROM a WHERE id = 1", "SHP-211")),
        ["A text key, or a statement over several nodes, while `client_encoding` is not UTF8"] = Says(("SET client_encoding = 'LATIN1'", Runs), ("SELECT * FROM names WHERE name = 'x'", "SHP-220")),
        ["`CREATE TEMP TABLE` of the same name"] = Says(("CREATE TEMP TABLE a (x int)", "SHP-216")),
        ["`SHARD TABLE` and `REPLICATE TABLE` make"] = By("TableDistributionTests.What_a_table_needs_is_made_on_the_other_nodes", "TableDistributionTests.A_type_of_that_name_that_is_in_use_elsewhere_is_told"),
        ["Moments and numbers as keys of"] = By(
            "RangeGroupTests.A_moment_that_depends_on_the_session_is_placed_where_the_server_puts_it_or_refused", "KeyOrderServerTests.FormsThatDependOnMoreThanTheTextAreNotRead"),
        ["Foreign keys are kept where each"] = By(
            "ForeignKeyTests.A_schema_is_distributed_parents_first_and_keeps_its_constraints", "ForeignKeyTests.Constraints_come_and_go_by_ddl_and_those_that_no_node_can_check_are_refused",
            "ForeignKeyTests.Checks_and_actions_are_as_on_one_server", "ForeignKeyTests.Ranges_move_under_writers_with_cascades"),
        ["`SHARD TABLE` itself demands: an ordinary"] = By("TableDistributionTests.What_cannot_be_sharded_is_refused"),
        ["Reads"] = Says(("SELECT * FROM ref", Runs), ("SELECT * FROM ref FOR UPDATE", Runs), ("SELECT * FROM ref, plain", Runs)),
        ["`INSERT`, `UPDATE`, `DELETE`, `COPY FROM STDIN`, `RETURNING`"] = By("ShardedTests.WritesToReplicatedTablesReachEveryNode"),
        ["`INSERT` whose values are drawn: `serial`, identity and `DEFAULT gen_random_uuid()` columns, `nextval`, `random()`"] =
            By(["DifferenceTests.ASerialOfAReplicatedTableIsTheSameOnEveryNode"], ("INSERT INTO ref VALUES (1, random()::text)", Runs)),
        ["Another write that calls a function not known to be the same everywhere (`random()`, `nextval`, your own)"] = By(
            ["OneAnswerTests.WhatNodesWouldComputeForThemselvesIsRefused"], ("UPDATE ref SET v = random()::text", "SHP-214")),
        ["A write that reads unsharded tables or the system catalogs"] = Says(("INSERT INTO ref SELECT id, v FROM plain", "SHP-203")),
        ["A write together with a sharded table"] = Says(("WITH q AS (DELETE FROM ref RETURNING id) SELECT * FROM a WHERE id = 1", "SHP-212")),
        ["`MERGE`, `EXPLAIN` and cursors of a write"] = Says(("EXPLAIN DELETE FROM ref", "SHP-210")),
        ["`INSERT … SELECT` and `COPY` into"] = By("DifferenceTests.ASerialOfAReplicatedTableIsTheSameOnEveryNode"),
        ["`ALTER TABLE`, `CREATE INDEX`, `DROP TABLE`,"] = By("ShardedTests.SchemaChangesReachEveryNodeOrNone", "OneAnswerTests.DdlThatKeepsTheKeyRunsOnEveryNode", "ShardedTests.LocksAndAnalyzeMeanEveryNodeOrAreRefused"),
        ["`ALTER TABLE … RENAME TO`, `ALTER SCHEMA … RENAME TO` of a placed table's schema, `SET SCHEMA`, `INHERIT`, `SET TABLESPACE`"] = Says(
            ("ALTER TABLE a RENAME TO z", "SHP-210"), ("ALTER SCHEMA public RENAME TO z", "SHP-210"), ("ALTER TABLE a SET SCHEMA pg_temp", "SHP-210"), ("ALTER TABLE a INHERIT plain", "SHP-210"), ("ALTER TABLE a SET TABLESPACE pg_default", "SHP-210")),
        ["`ATTACH PARTITION` of a table that is not in the same group by the same key, `DETACH PARTITION … CONCURRENTLY`"] = Says(
            ("ALTER TABLE a ATTACH PARTITION plain DEFAULT", "SHP-232")),
        ["`CREATE TABLE … (LIKE t)`"] = Says(("CREATE TABLE c (LIKE a)", "SHP-210")),
        ["One statement over placed and unsharded tables, other than `DROP TABLE` and `TRUNCATE` without CASCADE"] = Says(("TRUNCATE a, plain CASCADE", "SHP-218")),
        ["What tables use is made, changed"] = By("SharedDdlTests.EveryNodeHasIt", "SharedDdlTests.WhatOneNodeRefusesIsDoneOnNone", "SharedDdlTests.WhatRefersToUnshardedTablesStaysAtHomeAndIsSaid"),
        ["Roles are made, changed and dropped"] = By("DifferenceTests.RolesAreMadeOnEveryNode"),
        ["Statements of one transaction may go"] = By("ShardedTests.TransactionsOverNodesAreAllOrNothing", "ServerLossTests.ACommitOverNodesCutAtEachStep"),
        ["Savepoints, isolation levels, `SET LOCAL` and"] = By("ShardedTests.SavepointsHoldOverNodesThatJoinLater"),
        ["The client's own `PREPARE TRANSACTION` works"] = By("SameAsPostgresTests.TheSameMessagesComeBack"),
        ["`BEGIN` is lazy"] = By("OneAnswerTests.TheTimeIsTheTransactionsOwn"),
        ["No snapshot over nodes."] = By(
            "DifferenceTests.EachNodeHasASnapshotOfItsOwn", "DifferenceTests.SerializableFindsConflictsOfOneNodeOnly", "DeadlockTests.TheYoungestEndsAndTheOtherGoesOn"),
        ["Settings are carried."] = By(
            "SessionTruthTests.DefaultsAreThoseOfTheStartupPacket", "SessionTruthTests.ReportedParametersAreTrueAfterARollback", "SessionTruthTests.WhatAFunctionSetIsCarriedAndPinsNothing",
            "SessionTruthTests.RolesAreCarriedAndEndInTheRightOrder"),
        ["`application_name`"] = By("SessionTruthTests.TheServersShowTheClientsName"),
        ["`standard_conforming_strings = off`"] = By(["SessionTruthTests.StringsTheLexerWouldMisreadEndTheSession"], ("SET standard_conforming_strings = off", "SHP-410")),
        ["Sessions are pinned"] = By("SessionTruthTests.StateThatCannotBeCarriedPinsUntilItEnds", "SessionTruthTests.StateThatEndsWithItsTransactionDoesNotPin", "SessionLeakTests.TheNextClientFindsASessionAsNew"),
        ["State left by a trigger, a view's function or a column default"] = By("SessionTruthTests.StateLeftByATriggerIsNotLookedFor"),
        ["`currval` and `lastval`"] = By("SessionTruthTests.SequenceValuesAreTheSessionsOwnOrRefused"),
        ["`pg_prepared_statements`"] = By("SessionTruthTests.PreparedStatementsOfOthersAreListedUnderOurNames"),
        ["Process ids."] = By("BackendIdentityTests.EachClientIsItsOwnBackendWhileThereIsRoom", "BackendIdentityTests.ClientsBeyondThePoolAreServedAndHaveKeysOfTheirOwn", "BackendIdentityTests.NobodyIsGivenTheServerOfAnotherWhileThereIsRoom"),
        ["A server that ends"] = By("SessionTruthTests.ALostServerEndsOnlySessionsWhoseStateItHeld", "BackendIdentityTests.ATimeOutOfItsOwnEndsTheClient"),
        ["System catalogs are the home node's."] = Says(("SELECT count(*) FROM pg_class WHERE relname = 'plain'", Runs)),
        ["Statements over several nodes"] = By("DifferenceTests.TheHomeNodeSpeaksForAll"),
        ["Statement text on the servers"] = By("DifferenceTests.StatementsAreTheClientsTextOnEveryServer"),
        ["While a range is cut over"] = By("BarrierTests.AHeldRangeStopsNewWorkOnItOnly"),
        ["Cursors"] = By("CursorTests.EachIsReadWhereItWasDeclared", "OpenResultTests.TheSameMessagesComeBack", "OpenResultTests.TheirNumberIsBounded", "OpenResultTests.ACursorOfThatNameIsOpen"),
        ["Bytes buffered"] = By("BackpressureTests.Clients_that_stop_reading_a_large_result_stop_their_servers", "BackpressureTests.Clients_that_copy_into_a_stalled_server_are_not_read", "BufferLimitTests.WhatIsAboveTheLimitIsPassedOnWithoutASync"),
        ["These are not refused in this"] = By("CompatibilityDocumentTests.EveryLineIsHeldAndNothingElse"),
        ["Functions behind operators and casts of"] = By("TableDistributionTests.Columns_views_and_functions_are_read_again_after_ddl_and_dropped_tables_go"),
    };

    private static Held Says(params (string Sql, string Answer)[] examples) => new(examples, []);

    private static Held By(params string[] tests) => new([], tests);

    private static Held By(string[] tests, params (string Sql, string Answer)[] examples) => new(examples, tests);
}

/// <summary>What holds a line: statements with their answers, and tests as <c>Fixture.Method</c>.</summary>
internal sealed record Held((string Sql, string Answer)[] Examples, string[] Tests);
