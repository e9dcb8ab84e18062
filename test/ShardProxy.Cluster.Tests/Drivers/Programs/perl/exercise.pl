# What DBD::Pg does with a server, one line a step. The same program runs directly and through the proxy; the lines must be the same.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types :async);
use JSON::PP;

binmode STDOUT, ':utf8';
$| = 1;
my $json = JSON::PP->new->canonical->allow_nonref;

sub say_step { my ($step, $value) = @_; print "$step: ", $json->encode($value), "\n"; }

sub connected {
    my (%set) = @_;
    my $dsn = 'dbi:Pg:application_name=exercise' . join '', map { ";$_=$set{$_}" } grep { $_ ne 'password' } sort keys %set;
    return DBI->connect($dsn, $ENV{PGUSER}, $set{password} // $ENV{PGPASSWORD}, { RaiseError => 1, PrintError => 0, AutoCommit => 1, PrintWarn => 0 });
}

sub attempt {
    my ($db, $action) = @_;
    my $answer = eval { $action->() };
    return $answer unless $@;
    return ['', split /\n/, $DBI::errstr] unless $db;
    return [$db->state, split /\n/, $db->errstr];
}

sub rows { my ($db, $sql, @values) = @_; return $db->selectall_arrayref($sql, {}, @values); }

my $db = connected();

# Values and types.
say_step('types', rows($db, 'SELECT ?::text, ?::int, ?::bool, ?::numeric, ?::int[]', 'ä€', 7, 1, '1.50', [1, undef]));
my $bytes = $db->prepare('SELECT length(?::bytea), ?::bytea');
$bytes->bind_param($_, "\0\xff", { pg_type => PG_BYTEA }) for 1, 2;
$bytes->execute;
say_step('bytes', [map { length } @{ $bytes->fetch }]);
$bytes->finish;
my $described = $db->prepare('SELECT 1 AS a, now() AS b, NULL::text AS c');
$described->execute;
say_step('names', [$described->{NAME}, $described->{pg_type}, $described->{NUM_OF_FIELDS}]);
$described->finish;
say_step('server', [int($db->{pg_server_version} / 10000), $db->{pg_enable_utf8}, $db->{pg_standard_conforming_strings}, $db->ping, $db->pg_ping]);
say_step('process', $db->{pg_pid} == rows($db, 'SELECT pg_backend_pid()')->[0][0] ? 1 : 0);

# Prepared statements.
my $named = $db->prepare('SELECT $1::int * 2 AS v');
for my $i (1 .. 4) { $named->execute($i); say_step("prepared $i", $named->fetchall_arrayref); }
say_step('bad value', attempt($db, sub { $named->execute('x') }));
undef $named;
say_step('bad statement', attempt($db, sub { $db->do('SELECT nothing') }));
say_step('no prepare', do { local $db->{pg_server_prepare} = 0; rows($db, 'SELECT ?::text', "it's") });
say_step('several', $db->do('SELECT 1; SELECT 2'));

# Tables and transactions.
$db->do('DROP TABLE IF EXISTS dbd_t');
$db->do('CREATE TABLE dbd_t (id serial PRIMARY KEY, v text UNIQUE, w bytea)');
$db->begin_work;
say_step('insert', rows($db, "INSERT INTO dbd_t (v) VALUES ('a'), ('b') RETURNING id, v"));
say_step('id', $db->last_insert_id(undef, undef, 'dbd_t', undef));
$db->pg_savepoint('s');
say_step('duplicate', attempt($db, sub { $db->do("INSERT INTO dbd_t (v) VALUES ('a')") }));
say_step('aborted', [attempt($db, sub { $db->do('SELECT 1') }), $db->ping]);
$db->pg_rollback_to('s');
$db->pg_release('s');
say_step('count', rows($db, 'SELECT count(*) FROM dbd_t'));
$db->commit;
my $many = $db->prepare('INSERT INTO dbd_t (v) VALUES (?)');
say_step('array', $many->execute_array({}, [map { "m$_" } 1 .. 50]));
$db->begin_work;
$db->do('DELETE FROM dbd_t');
$db->rollback;
say_step('kept', rows($db, 'SELECT count(*) FROM dbd_t'));
say_step('columns', [map { $_->[3] } @{ $db->column_info(undef, undef, 'dbd_t', undef)->fetchall_arrayref }]);
say_step('primary key', [$db->primary_key(undef, undef, 'dbd_t')]);

# COPY.
$db->do('COPY dbd_t (v) FROM STDIN');
$db->pg_putcopydata("c$_\n") for 1 .. 2000;
say_step('copied', $db->pg_putcopyend);
$db->do("COPY (SELECT v FROM dbd_t WHERE v LIKE 'c1%' ORDER BY id LIMIT 3) TO STDOUT");
my @lines;
my $line = '';
push @lines, $line while $db->pg_getcopydata($line) >= 0;
say_step('copy out', \@lines);
$db->do('COPY dbd_t (id) FROM STDIN');
$db->pg_putcopydata("x\n");
say_step('bad copy', attempt($db, sub { $db->pg_putcopyend }));

# Large objects.
$db->begin_work;
my $oid = $db->pg_lo_creat($db->{pg_INV_WRITE});
my $object = $db->pg_lo_open($oid, $db->{pg_INV_WRITE});
say_step('large object', [$db->pg_lo_write($object, 'x' x 1000, 1000), $db->pg_lo_lseek($object, 10, 0), $db->pg_lo_tell($object), $db->pg_lo_close($object)]);
$db->pg_lo_unlink($oid);
$db->commit;

# Cursors and asynchronous statements.
$db->begin_work;
$db->do('DECLARE c CURSOR FOR SELECT generate_series(1, 50)');
say_step('cursor', [map { scalar @{ rows($db, 'FETCH 20 FROM c') } } 1 .. 3]);
$db->commit;
$db->do('SELECT pg_sleep(0.05), 41 + 1', { pg_async => PG_ASYNC });
say_step('asynchronous', $db->pg_result);
$db->do('SELECT pg_sleep(30)', { pg_async => PG_ASYNC });
say_step('cancelled', $db->pg_cancel ? 1 : 0);
say_step('after it', rows($db, 'SELECT 1'));

# Notices and notifications.
my @notices;
{
    local $SIG{__WARN__} = sub { push @notices, $_[0] =~ s/ at .*//sr };
    local $db->{PrintWarn} = 1;
    $db->do("DO \$\$ BEGIN RAISE WARNING 'mind'; END \$\$");
}
say_step('notices', \@notices);
$db->do('LISTEN dbd_c');
$db->do("NOTIFY dbd_c, 'payload'");
my $said = $db->pg_notifies;
say_step('notification', [$said->[0], $said->[2], $said->[1] == $db->{pg_pid} ? 1 : 0]);
$db->do('UNLISTEN *');

# Rows on several nodes.
say_step('by key', rows($db, 'SELECT owner, amount FROM accounts WHERE id = ?', 7));
$db->begin_work;
$db->do('UPDATE accounts SET amount = amount + 1 WHERE id = ?', {}, $_) for 31 .. 33;
$db->commit;
say_step('sums', rows($db, 'SELECT count(*), sum(amount) FROM accounts'));
say_step('key twice', attempt($db, sub { $db->do("INSERT INTO accounts VALUES (7, 'x', 1)") }));

# Endings.
my $own = connected();
say_step('own end', attempt($own, sub { $own->do('SELECT pg_terminate_backend(pg_backend_pid())') }));
say_step('is gone', $own->ping);
my $victim = connected();
rows($db, 'SELECT pg_terminate_backend(?, 5000)', $victim->{pg_pid});
say_step('ended', attempt($victim, sub { $victim->do('SELECT 1') }));
say_step('wrong password', (attempt(undef, sub { connected(password => 'wrong') })->[1] // '') =~ s/.*FATAL/FATAL/sr);
say_step('no database', (attempt(undef, sub { connected(dbname => 'nosuchdatabase') })->[1] // '') =~ s/.*FATAL/FATAL/sr);
my $limited = connected(options => "'-c statement_timeout=50'");
say_step('time-out', attempt($limited, sub { $limited->do('SELECT pg_sleep(30)') }));
$_->disconnect for $db, $limited;
