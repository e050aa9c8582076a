package wire

import (
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

type line struct {
	SKU      string
	Quantity int
	Price    float64
}

type order struct {
	ID       int64
	Customer string
	Placed   time.Time
	Lines    []line
	Labels   map[string]string
	Paid     bool
}

func sampleOrder() *order {
	o := &order{ID: 4711, Customer: "Ada Lovelace", Placed: time.Unix(1700000000, 0).UTC(), Paid: true, Labels: map[string]string{"region": "eu", "tier": "gold"}}
	for i := range 20 {
		o.Lines = append(o.Lines, line{SKU: "sku-0001", Quantity: i + 1, Price: 9.75})
	}
	return o
}

func BenchmarkEncodeNothing(b *testing.B) {
	c, t := NewCodec(Limits{}), newTable(b)
	var e Encoder
	buf := make([]byte, 0, 128)
	for b.Loop() {
		e.Reset(c, t, nil, "argument", buf)
		if _, err := e.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeScalars(b *testing.B) {
	c, t := NewCodec(Limits{}), newTable(b)
	var e Encoder
	buf := make([]byte, 0, 128)
	for b.Loop() {
		e.Reset(c, t, nil, "argument", buf)
		e.Int64(123456)
		e.String("a short string")
		e.Bool(true)
		if _, err := e.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeScalars(b *testing.B) {
	c, t := NewCodec(Limits{}), newTable(b)
	var e Encoder
	e.Reset(c, t, nil, "argument", nil)
	e.Int64(123456)
	e.String("a short string")
	e.Bool(true)
	data, _ := e.Finish()
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		var n int64
		var s string
		var ok bool
		d.Reset(c, t, nil, "argument", data)
		d.Int64(&n)
		d.String(&s)
		d.Bool(&ok)
		if err := d.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkValue[T any](b *testing.B, v *T) {
	c, t := NewCodec(Limits{}), newTable(b)
	var data []byte
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		var e Encoder
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			e.Reset(c, t, nil, "argument", buf)
			e.Value(v)
			var err error
			if data, err = e.Finish(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var d Decoder
		for b.Loop() {
			var got T
			d.Reset(c, t, nil, "argument", data)
			d.Value(&got)
			if err := d.Finish(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library/encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cbor.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	plain, err := cbor.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("library/decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got T
			if err := cbor.Unmarshal(plain, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLine(b *testing.B)  { benchmarkValue(b, &line{"sku-0001", 3, 9.75}) }
func BenchmarkOrder(b *testing.B) { benchmarkValue(b, sampleOrder()) }

func BenchmarkCallHeader(b *testing.B) {
	buf := make([]byte, 0, 128)
	h := CallHeader{Number: 1, Slot: 2, Timeout: time.Second, Method: 3}
	for b.Loop() {
		frame := AppendCallHeader(buf, h)
		if err := FinishFrame(frame); err != nil {
			b.Fatal(err)
		}
		if _, _, err := ParseCall(frame); err != nil {
			b.Fatal(err)
		}
	}
}
