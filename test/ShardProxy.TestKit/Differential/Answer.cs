using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.TestKit.Differential;

/// <summary>
/// What a server answered, in a form that can be compared: rows in any order unless the statement gives them one, numeric by value (which of 1.0 and 1.00
/// stands for a group is chance in PostgreSQL too), floats within a tolerance (their sums depend on the order of rows).
/// </summary>
internal sealed class Answer
{
    private const uint Float4 = 700, Float8 = 701, Numeric = 1700;
    private const double Tolerance8 = 1e-9, Tolerance4 = 1e-4;

    private readonly string _head;
    private readonly List<string[]> _rows;
    private readonly uint[] _types;

    public Answer(Transcript reply, bool isOrdered)
    {
        Reply = reply;
        Refusal = reply.Errors.Count > 0 && reply.Errors[0].Field('D') is { } detail && detail.StartsWith("SHP-", StringComparison.Ordinal) ? detail[..7] : null;
        var columns = reply.Messages.FirstOrDefault(m => m.Type == 'T')?.Columns() ?? [];
        _types = [.. columns.Select(c => c.TypeOid < 16384 ? c.TypeOid : 0)];
        var parameters = string.Join(',', reply.Messages.Where(m => m.Type == 't').SelectMany(m => m.ParameterTypes()));
        var error = reply.Errors.Count > 0 ? $"{reply.SqlState} {reply.Errors[0].Field('M')}" : "";
        var shape = string.Join(", ", columns.Select((c, i) => $"{c.Name}:{_types[i]}"));
        // Whether rows were announced before an error, and which came, is chance.
        _head = error.Length > 0 ? $"{error} {reply.Status}" : $"({parameters}) [{shape}] {string.Join(' ', reply.Tags)} {reply.Status}";
        _rows = reply.Errors.Count > 0 ? [] : [.. reply.Messages.Where(m => m.Type == 'D').Select(m => Row(m, columns))];
        var copied = string.Concat(reply.Messages.Where(m => m.Type == 'd').Select(m => Encoding.UTF8.GetString(m.Body)));
        if (copied.Length > 0)
        {
            _rows.AddRange(copied.Split('\n').Select(l => new[] { l }));
        }

        if (!isOrdered)
        {
            _rows.Sort((a, b) => string.CompareOrdinal(SortKey(a), SortKey(b)));
        }
    }

    public Transcript Reply { get; }

    /// <summary>The proxy's own code when it refused the statement.</summary>
    public string? Refusal { get; }

    /// <summary>SQLSTATE of the first error.</summary>
    public string? SqlState => Reply.SqlState;

    public bool IsSameAs(Answer other)
    {
        if (_head != other._head || _rows.Count != other._rows.Count)
        {
            return false;
        }

        for (var row = 0; row < _rows.Count; row++)
        {
            for (var column = 0; column < _rows[row].Length; column++)
            {
                if (_rows[row][column] != other._rows[row][column] && !IsClose(_types.ElementAtOrDefault(column), _rows[row][column], other._rows[row][column]))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>This, the plain database's answer, beside the sharded one's: the first rows that are not in both.</summary>
    public string DifferenceFrom(Answer sharded)
    {
        var (plain, other) = (_rows.Select(Text).ToList(), sharded._rows.Select(Text).ToList());
        return $"plain   {Head(plain, other)}\n    sharded {sharded.Head(other, plain)}";
    }

    public override string ToString() => Head([.. _rows.Select(Text)], []);

    private string Head(List<string> own, List<string> other) =>
        string.Join("\n      ", own.Except(other).Take(8).Prepend($"{_head}, {_rows.Count} rows"));

    private static string Text(string[] row) => string.Join(" | ", row);

    private string SortKey(string[] row) => string.Join('|', row.Select((v, i) => IsFloat(_types.ElementAtOrDefault(i)) && TryNumber(v, out var number) ? (number + 0.0).ToString("E4", CultureInfo.InvariantCulture) : v));

    private static bool IsFloat(uint type) => type is Float4 or Float8;

    private static bool TryNumber(string text, out double number) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);

    private static bool IsClose(uint type, string a, string b)
    {
        if (!IsFloat(type) || !TryNumber(a, out var x) || !TryNumber(b, out var y))
        {
            return false;
        }

        return Math.Abs(x - y) <= (type == Float8 ? Tolerance8 : Tolerance4) * Math.Max(1, Math.Max(Math.Abs(x), Math.Abs(y)));
    }

    private static string[] Row(WireMessage message, IReadOnlyList<(string Name, uint TypeOid, int Format)> columns) =>
        [.. message.Values().Select((v, i) => v is null ? "NULL" : Value(v, i < columns.Count ? columns[i] : default))];

    private static string Value(byte[] value, (string Name, uint TypeOid, int Format) column)
    {
        if (column.Format == 0)
        {
            var text = Encoding.UTF8.GetString(value);
            return column.TypeOid == Numeric && text.Contains('.', StringComparison.Ordinal) ? text.TrimEnd('0').TrimEnd('.') : text;
        }

        switch (column.TypeOid)
        {
            case Float8 when value.Length == 8:
                return BinaryPrimitives.ReadDoubleBigEndian(value).ToString("R", CultureInfo.InvariantCulture);
            case Float4 when value.Length == 4:
                return BinaryPrimitives.ReadSingleBigEndian(value).ToString("R", CultureInfo.InvariantCulture);
            case Numeric when value.Length >= 8:
                value[6] = value[7] = 0; // The display scale.
                return Convert.ToHexString(value);
            default:
                return Convert.ToHexString(value);
        }
    }
}
