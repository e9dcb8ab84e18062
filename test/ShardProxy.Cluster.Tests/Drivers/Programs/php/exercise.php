<?php
// What PHP's pgsql and pdo_pgsql do with a server, one line a step. The same program runs directly and through the proxy; the lines must be the same.
error_reporting(E_ALL & ~E_WARNING & ~E_NOTICE);

function say(string $step, mixed $value): void
{
    echo "$step: ", json_encode($value, JSON_UNESCAPED_UNICODE | JSON_PARTIAL_OUTPUT_ON_ERROR), "\n";
}

function rows($c, string $sql, array $values = []): array|string|false
{
    $result = $values ? pg_query_params($c, $sql, $values) : pg_query($c, $sql);
    return $result ? (pg_fetch_all($result) ?: pg_result_status($result, PGSQL_STATUS_STRING)) : pg_last_error($c);
}

// pgsql.
$c = pg_connect('application_name=exercise');
say('types', rows($c, 'SELECT $1::text AS t, $2::int AS i, $3::bool AS b, $4::bytea AS x', ['ä€', 7, 't', '\\x00ff']));
say('status', [pg_connection_status($c), pg_transaction_status($c), pg_client_encoding($c), pg_parameter_status($c, 'standard_conforming_strings')]);
say('process', pg_get_pid($c) === (int) pg_fetch_result(pg_query($c, 'SELECT pg_backend_pid()'), 0, 0));
pg_query($c, 'DROP TABLE IF EXISTS php_t');
pg_query($c, 'CREATE TABLE php_t (id serial PRIMARY KEY, v text UNIQUE, x bytea)');
pg_prepare($c, 'add', 'INSERT INTO php_t (v) VALUES ($1) RETURNING id');
foreach (['a', 'b', 'c'] as $v) {
    say("prepared $v", pg_fetch_all(pg_execute($c, 'add', [$v])));
}
say('duplicate', [pg_execute($c, 'add', ['a']), pg_last_error($c)]);
say('prepared twice', [pg_prepare($c, 'add', 'SELECT 1'), pg_last_error($c)]);
say('deallocate', rows($c, 'DEALLOCATE add'));
say('gone', [pg_execute($c, 'add', ['d']), pg_last_error($c)]);
say('fields', (function () use ($c) {
    $r = pg_query($c, 'SELECT id, v, x FROM php_t');
    return array_map(fn ($i) => [pg_field_name($r, $i), pg_field_type($r, $i), pg_field_table($r, $i)], [0, 1, 2]);
})());
say('insert', [pg_insert($c, 'php_t', ['v' => "it's"], PGSQL_DML_EXEC) !== false, pg_select($c, 'php_t', ['v' => "it's"])]);
say('block', [rows($c, 'BEGIN'), rows($c, 'SELECT 1/0'), pg_transaction_status($c), rows($c, 'ROLLBACK')]);
say('several', (function () use ($c) {
    pg_send_query($c, 'SELECT 1 AS a; SELECT 2 AS b; SELECT nothing');
    $all = [];
    while ($r = pg_get_result($c)) {
        $all[] = pg_result_error($r) ?: pg_fetch_all($r);
    }
    return $all;
})());
say('error fields', (function () use ($c) {
    pg_send_query($c, "INSERT INTO php_t (v) VALUES ('a')");
    $r = pg_get_result($c);
    pg_get_result($c);
    return array_map(fn ($f) => pg_result_error_field($r, $f), [PGSQL_DIAG_SEVERITY, PGSQL_DIAG_SQLSTATE, PGSQL_DIAG_MESSAGE_PRIMARY, PGSQL_DIAG_MESSAGE_DETAIL, PGSQL_DIAG_CONSTRAINT_NAME]);
})());
say('copy', [pg_copy_from($c, 'php_t', ["101\tx\t\\N\n", "102\ty\t\\N\n"]), array_slice(pg_copy_to($c, 'php_t'), -2)]);
pg_query($c, 'COPY php_t (v) FROM STDIN');
foreach (range(1, 500) as $i) {
    pg_put_line($c, "line $i\n");
}
pg_put_line($c, "\\.\n");
say('lines', [pg_end_copy($c), rows($c, 'SELECT count(*) FROM php_t')]);
pg_query($c, 'BEGIN');
$oid = pg_lo_create($c);
$object = pg_lo_open($c, $oid, 'w');
say('large object', [pg_lo_write($object, str_repeat('x', 1000)), pg_lo_seek($object, 10, PGSQL_SEEK_SET), pg_lo_tell($object), strlen(pg_lo_read($object, 50)), pg_lo_close($object), pg_lo_unlink($c, $oid)]);
pg_query($c, 'COMMIT');
pg_query($c, "DO \$\$ BEGIN RAISE NOTICE 'hello'; END \$\$");
say('notice', pg_last_notice($c));
pg_query($c, 'LISTEN php_c');
pg_query($c, "NOTIFY php_c, 'payload'");
$said = pg_get_notify($c, PGSQL_ASSOC);
say('notification', [$said['message'], $said['payload'], $said['pid'] === pg_get_pid($c)]);
say('encoding', [pg_set_client_encoding($c, 'LATIN1'), pg_client_encoding($c), bin2hex(pg_fetch_result(pg_query($c, 'SELECT chr(228)'), 0, 0)), pg_set_client_encoding($c, 'UTF8')]);
pg_query($c, "SET statement_timeout = '50ms'");
say('time-out', rows($c, 'SELECT pg_sleep(30)'));
say('reset', [pg_connection_reset($c), rows($c, 'SHOW statement_timeout')]);
$watcher = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
pg_send_query($c, 'SELECT pg_sleep(30)');
while (!pg_num_rows(pg_query_params($watcher, "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", [pg_get_pid($c)]))) {
    usleep(10000);
}
say('cancelled', pg_cancel_query($c));
say('persistent', (function () {
    $p = pg_pconnect('application_name=exercise');
    $value = rows($p, 'SELECT 1 AS a');
    pg_close($p);
    return $value;
})());

// PDO.
$pdo = new PDO('pgsql:', getenv('PGUSER'), getenv('PGPASSWORD'), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
foreach ([false, true] as $emulates) {
    $pdo->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulates);
    $s = $pdo->prepare('SELECT v, :n::int AS n FROM php_t WHERE id = :id');
    foreach ([1, 2] as $id) {
        $s->execute(['id' => $id, 'n' => 5]);
        say("pdo $id", $s->fetchAll(PDO::FETCH_ASSOC));
    }
}
foreach (['CREATE TABLE php_u (a int)', 'ALTER TABLE php_u ADD COLUMN b text', 'DROP TABLE php_u'] as $ddl) {
    $pdo->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
    $pdo->exec($ddl);
    try {
        $s = $pdo->prepare('SELECT * FROM php_u');
        $s->execute();
        say('columns', $s->columnCount());
    } catch (PDOException $e) {
        say('columns', $e->errorInfo);
    }
}
$pdo->beginTransaction();
try {
    $pdo->exec("INSERT INTO php_t (v) VALUES ('a')");
} catch (PDOException $e) {
    say('pdo duplicate', $e->errorInfo);
}
say('pdo rollback', [$pdo->inTransaction(), $pdo->rollBack(), $pdo->inTransaction()]);
$scroll = $pdo->prepare('SELECT generate_series(1, 5) AS n', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
$scroll->execute();
say('scroll', [$scroll->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST), $scroll->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 2)]);
$scroll = null;
say('pdo copy', [$pdo->pgsqlCopyFromArray('php_t', ["201\tp\t\\N"]), count($pdo->pgsqlCopyToArray('php_t'))]);
say('pdo process', $pdo->pgsqlGetPid() === (int) $pdo->query('SELECT pg_backend_pid()')->fetchColumn());

// Rows on several nodes.
$s = $pdo->prepare('SELECT owner, amount FROM accounts WHERE id = ?');
foreach ([7, 8, 9] as $id) {
    $s->execute([$id]);
    say("by key $id", $s->fetchAll(PDO::FETCH_NUM));
}
$pdo->beginTransaction();
foreach ([41, 42, 43] as $id) {
    $pdo->prepare('UPDATE accounts SET amount = amount + 1 WHERE id = ?')->execute([$id]);
}
$pdo->commit();
say('sums', $pdo->query('SELECT count(*), sum(amount) FROM accounts')->fetchAll(PDO::FETCH_NUM));

// Endings.
say('own end', rows($c, 'SELECT pg_terminate_backend(pg_backend_pid())'));
say('status', pg_connection_status($c) === PGSQL_CONNECTION_BAD);
foreach (['dbname=nosuchdatabase', 'password=wrong'] as $wrong) {
    try {
        new PDO("pgsql:$wrong", getenv('PGUSER'), str_starts_with($wrong, 'password') ? 'wrong' : getenv('PGPASSWORD'));
    } catch (PDOException $e) {
        say($wrong, strtok(preg_replace('/.*FATAL/s', 'FATAL', $e->getMessage()), "\n"));
    }
}
