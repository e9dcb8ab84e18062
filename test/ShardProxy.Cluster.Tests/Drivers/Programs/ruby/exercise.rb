# What Ruby's pg does with a server, one line a step. The same program runs directly and through the proxy; the lines must be the same.
require 'pg'
require 'json'

$stdout.sync = true

def say(step, value) = puts("#{step}: #{JSON.generate(value)}")

def connected(**settings) = PG.connect(application_name: 'exercise', **settings)

def attempt
  answer = yield
  answer.is_a?(PG::Result) ? answer.values : answer
rescue PG::Error => e
  fields = e.result && [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_SEVERITY, PG::PG_DIAG_MESSAGE_PRIMARY, PG::PG_DIAG_MESSAGE_DETAIL].map { |f| e.result.error_field(f) }
  [e.class.name, fields || e.message[/FATAL.*/]&.strip]
end

c = connected
c.set_notice_processor { |m| ($notices ||= []) << m.strip }

# Values and types.
say('types', c.exec_params('SELECT $1::text, $2::int, $3::bool, $4::numeric', ['ä€', 7, true, '1.50']).values)
mapped = c.dup rescue c
c.type_map_for_results = PG::BasicTypeMapForResults.new(c)
say('mapped', c.exec('SELECT 1, 2.5::float8, true, NULL, ARRAY[1, 2]').values)
say('binary', c.exec_params('SELECT $1::int', [{ value: [41].pack('N'), type: 23, format: 1 }], 1).values)
c.type_map_for_results = PG::TypeMapAllStrings.new
say('fields', c.exec('SELECT 1 AS a, now() AS b WHERE false').then { |r| [r.fields, r.ftype(0), r.ftype(1), r.cmd_status] })
say('status', [c.transaction_status, c.server_version / 10_000, c.internal_encoding.to_s, c.parameter_status('standard_conforming_strings'), c.parameter_status('client_encoding')])
say('process', c.backend_pid == c.exec('SELECT pg_backend_pid()').getvalue(0, 0).to_i)

# Prepared statements.
c.prepare('twice', 'SELECT $1::int * 2')
say('prepared', (1..3).map { |i| c.exec_prepared('twice', [i]).values })
say('described', c.describe_prepared('twice').then { |r| [r.nparams, r.paramtype(0), r.fields] })
say('taken', attempt { c.prepare('twice', 'SELECT 1') })
say('bad value', attempt { c.exec_prepared('twice', ['x']) })
say('missing', attempt { c.exec_prepared('nothing', []) })
say('bad statement', attempt { c.exec('SELECT nothing') })
c.exec('DEALLOCATE twice')
say('gone', attempt { c.exec_prepared('twice', [1]) })

# Tables and transactions.
c.exec('DROP TABLE IF EXISTS ruby_t')
c.exec('CREATE TABLE ruby_t (id serial PRIMARY KEY, v text UNIQUE)')
say('insert', c.transaction { |t| t.exec("INSERT INTO ruby_t (v) VALUES ('a'), ('b') RETURNING id, v").values })
say('duplicate', attempt { c.transaction { |t| t.exec("INSERT INTO ruby_t (v) VALUES ('c'), ('a')") } })
say('undone', c.exec('SELECT count(*) FROM ruby_t').values)
c.exec('BEGIN; SAVEPOINT s')
say('failed', [attempt { c.exec('SELECT 1/0') }, c.transaction_status, attempt { c.exec('SELECT 1') }])
c.exec('ROLLBACK TO s; COMMIT')
c.send_query('SELECT 1; SELECT 2; SELECT nothing')
several = []
while (result = c.get_result)
  several << (result.error_message.empty? ? result.values : result.error_field(PG::PG_DIAG_SQLSTATE))
end
say('several', several)

# COPY.
say('copied', c.copy_data('COPY ruby_t (v) FROM STDIN') { 2000.times { |i| c.put_copy_data("c#{i}\n") } }.cmd_status)
out = []
c.copy_data('COPY (SELECT v FROM ruby_t ORDER BY id LIMIT 3) TO STDOUT') { while (row = c.get_copy_data) do out << row end }
say('copy out', out)
say('bad copy', attempt { c.copy_data('COPY ruby_t (id) FROM STDIN') { c.put_copy_data("x\n") } })

# Single rows, pipelines, cursors.
c.send_query('SELECT generate_series(1, 100)')
c.set_single_row_mode
streamed = 0
while (result = c.get_result)
  streamed += result.ntuples
end
say('single rows', streamed)
c.enter_pipeline_mode
c.send_query_params('SELECT $1::int', [1])
c.send_query_params('SELECT 1/$1::int', [0])
c.send_query_params('SELECT $1::int', [3])
c.pipeline_sync
answers = []
until answers.last == PG::PGRES_PIPELINE_SYNC
  result = c.get_result
  answers << result.result_status if result
end
c.exit_pipeline_mode
say('pipeline', answers)
c.transaction do |t|
  t.exec('DECLARE c CURSOR FOR SELECT generate_series(1, 50)')
  say('cursor', Array.new(3) { t.exec('FETCH 20 FROM c').ntuples })
end

# Large objects.
c.transaction do |t|
  oid = t.lo_creat
  object = t.lo_open(oid, PG::INV_WRITE | PG::INV_READ)
  say('large object', [t.lo_write(object, 'x' * 1000), t.lo_lseek(object, 10, PG::SEEK_SET), t.lo_tell(object), t.lo_read(object, 50).size, t.lo_close(object)])
  t.lo_unlink(oid)
end

# Notices and notifications.
c.exec("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
say('notices', $notices)
c.exec('LISTEN ruby_c')
c.exec("NOTIFY ruby_c, 'payload'")
c.wait_for_notify(10) { |channel, pid, payload| say('notification', [channel, payload, pid == c.backend_pid]) }

# Settings.
c.set_client_encoding('LATIN1')
say('latin', [c.parameter_status('client_encoding'), c.exec('SELECT chr(228)').getvalue(0, 0).bytes])
c.exec("SET client_encoding = 'UTF8'; SET TIME ZONE 'Europe/Berlin'")
say('zone', [c.parameter_status('TimeZone'), c.parameter_status('client_encoding')])
c.reset
say('reset', [c.parameter_status('TimeZone'), c.exec('SELECT 1').values])

# Rows on several nodes.
say('by key', c.exec_params('SELECT owner, amount FROM accounts WHERE id = $1', [7]).values)
c.transaction { |t| (51..53).each { |i| t.exec_params('UPDATE accounts SET amount = amount + 1 WHERE id = $1', [i]) } }
say('sums', c.exec('SELECT count(*), sum(amount) FROM accounts').values)
say('key twice', attempt { c.exec("INSERT INTO accounts VALUES (7, 'x', 1)") })

# Endings.
c.send_query('SELECT pg_sleep(30)')
sleeper = connected
sleep 0.01 until sleeper.exec_params("SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", [c.backend_pid]).ntuples == 1
say('cancel', c.cancel)
say('cancelled', attempt { c.get_last_result })
victim = connected
sleeper.exec_params('SELECT pg_terminate_backend($1, 5000)', [victim.backend_pid])
say('ended', attempt { victim.exec('SELECT 1') })
say('own end', attempt { sleeper.exec('SELECT pg_terminate_backend(pg_backend_pid())') })
say('wrong password', attempt { connected(password: 'wrong') })
say('no database', attempt { connected(dbname: 'nosuchdatabase') })
say('time-out', attempt { connected(options: '-c statement_timeout=50').exec('SELECT pg_sleep(30)') })
say('ping', [PG::Connection.ping, PG::Connection.ping('dbname=nosuchdatabase')])
c.finish
