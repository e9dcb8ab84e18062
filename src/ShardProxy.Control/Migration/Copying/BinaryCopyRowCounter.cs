using System.Buffers.Binary;

namespace ShardProxy.Control.Migration.Copying;

/// <summary>
/// Counts rows in a stream of PostgreSQL's binary COPY format (documentation of COPY, "Binary Format") that passes by in arbitrary pieces.
/// </summary>
internal sealed class BinaryCopyRowCounter
{
    private const int HeaderLength = 19;
    private readonly byte[] _number = new byte[4];
    private int _numberLength;
    private long _skip = HeaderLength;
    private int _fieldsLeft;
    private bool _isOver;

    public long Rows { get; private set; }

    public void Add(ReadOnlySpan<byte> piece)
    {
        while (!piece.IsEmpty && !_isOver)
        {
            if (_skip > 0)
            {
                var skipped = (int)Math.Min(_skip, piece.Length);
                _skip -= skipped;
                piece = piece[skipped..];
                continue;
            }

            // Between values stands a number: two bytes before a row, four before a field.
            var wanted = _fieldsLeft == 0 ? 2 : 4;
            var taken = Math.Min(wanted - _numberLength, piece.Length);
            piece[..taken].CopyTo(_number.AsSpan(_numberLength));
            _numberLength += taken;
            piece = piece[taken..];
            if (_numberLength == wanted)
            {
                _numberLength = 0;
                Take(wanted);
            }
        }
    }

    private void Take(int wanted)
    {
        if (wanted == 2)
        {
            _fieldsLeft = BinaryPrimitives.ReadInt16BigEndian(_number);
            _isOver = _fieldsLeft < 0;
            Rows += _isOver ? 0 : 1;
        }
        else
        {
            _fieldsLeft--;
            _skip = Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(_number));
        }
    }
}
