// The roles of README.md, with franz-go.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Every call and wait has this limit, so that a broker that never answers fails the test.
const waitMax = 60 * time.Second

var (
	bootstrap = os.Args[1]
	ctx, _    = context.WithTimeout(context.Background(), waitMax)
)

func main() {
	args := os.Args[3:]
	switch os.Args[2] {
	case "produce":
		produce(args[0], args[1:])
	case "consume":
		for _, topic := range args[1:] {
			consume(args[0], topic)
		}
	case "group":
		group(args[0], args[1])
	case "member":
		beMember(args[0], args[1])
	case "transact":
		transact(args[0], args[1])
	case "admin":
		admin(args[0], args[1])
	default:
		panic(os.Args[2])
	}
}

type answer map[string]any

func say(a answer) {
	line := must(json.Marshal(a))
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func toHex(data []byte) *string {
	if data == nil {
		return nil
	}
	text := hex.EncodeToString(data)
	return &text
}

func fromHex(text *string) []byte {
	if text == nil {
		return nil
	}
	return must(hex.DecodeString(*text))
}

func pollUntil(done func() bool, act func()) {
	for !done() {
		check(ctx.Err())
		act()
	}
}

func pause() { time.Sleep(100 * time.Millisecond) }

func client(options ...kgo.Opt) *kgo.Client {
	options = append(options, kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return must(kgo.NewClient(options...))
}

// poll waits a short time for records.
func poll(cl *kgo.Client) []*kgo.Record {
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	fetches := cl.PollFetches(short)
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			panic(failed.Err)
		}
	}
	return fetches.Records()
}

type line struct {
	Timestamp  int64
	Key, Value *string
	Headers    [][2]*string
}

func produce(topic string, codecs []string) {
	var lines []line
	for input := bufio.NewReader(os.Stdin); ; {
		text, err := input.ReadBytes('\n')
		if err != nil {
			break
		}
		var parsed line
		check(json.Unmarshal(text, &parsed))
		lines = append(lines, parsed)
	}
	known := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for _, codec := range codecs {
		cl := client(kgo.ProducerBatchCompression(known[codec]), kgo.ProducerLinger(50*time.Millisecond))
		var records []*kgo.Record
		for _, l := range lines {
			record := &kgo.Record{Topic: topic, Timestamp: time.UnixMilli(l.Timestamp), Key: fromHex(l.Key), Value: fromHex(l.Value)}
			for _, header := range l.Headers {
				record.Headers = append(record.Headers, kgo.RecordHeader{Key: *header[0], Value: fromHex(header[1])})
			}
			records = append(records, record)
		}
		check(cl.ProduceSync(ctx, records...).FirstErr())
		var offsets []int64
		for _, record := range records {
			offsets = append(offsets, record.Offset)
		}
		say(answer{"offsets": offsets})
		cl.Close()
	}
}

// consume also reads the markers of transactions, because only they show that the end is reached.
func consume(isolation, topic string) {
	level := map[string]kgo.IsolationLevel{"read_committed": kgo.ReadCommitted(), "read_uncommitted": kgo.ReadUncommitted()}[isolation]
	start := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}}
	cl := client(kgo.FetchIsolationLevel(level), kgo.KeepControlRecords(), kgo.ConsumePartitions(start), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	defer cl.Close()
	ends := must(kadm.NewClient(cl).ListEndOffsets(ctx, topic))
	end, _ := ends.Lookup(topic, 0)
	next := int64(0)
	pollUntil(func() bool { return next >= end.Offset }, func() {
		for _, record := range poll(cl) {
			next = record.Offset + 1
			if record.Attrs.IsControl() {
				continue
			}
			headers := [][2]*string{}
			for _, header := range record.Headers {
				headers = append(headers, [2]*string{&header.Key, toHex(header.Value)})
			}
			say(answer{"topic": topic, "offset": record.Offset, "timestamp": record.Timestamp.UnixMilli(),
				"key": toHex(record.Key), "value": toHex(record.Value), "headers": headers})
		}
	})
}

// member is a member of a group and its partitions, which another thread changes.
type member struct {
	*kgo.Client
	lock  sync.Mutex
	owned []int32
}

func join(topic, name string) *member {
	m := &member{}
	assigned := func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
		m.lock.Lock()
		defer m.lock.Unlock()
		m.owned = append(m.owned, added[topic]...)
		slices.Sort(m.owned)
	}
	revoked := func(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
		m.lock.Lock()
		defer m.lock.Unlock()
		m.owned = slices.DeleteFunc(m.owned, func(p int32) bool { return slices.Contains(removed[topic], p) })
	}
	m.Client = client(kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()),
		kgo.HeartbeatInterval(500*time.Millisecond), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(assigned), kgo.OnPartitionsRevoked(revoked), kgo.OnPartitionsLost(revoked))
	return m
}

func (m *member) assigned() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	return slices.Clone(m.owned)
}

func group(topic, name string) {
	first, second := join(topic, name), join(topic, name)
	both := func() [][]int32 { return [][]int32{first.assigned(), second.assigned()} }
	pollUntil(func() bool { return len(both()[0]) == 2 && len(both()[1]) == 2 }, pause)
	halves := both()
	slices.SortFunc(halves, slices.Compare)
	say(answer{"assigned": halves})
	first.Close()
	pollUntil(func() bool { return len(second.assigned()) == 4 }, pause)
	say(answer{"alone": second.assigned()})
	offsets := map[int32]kgo.EpochOffset{}
	for p := range int32(4) {
		offsets[p] = kgo.EpochOffset{Epoch: -1, Offset: int64(p) + 1}
	}
	second.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
			check(err)
			for _, partition := range response.Topics[0].Partitions {
				check(kerr.ErrorForCode(partition.ErrorCode))
			}
		})
	var committed, resumed []int64
	fetched := must(kadm.NewClient(second.Client).FetchOffsets(ctx, name))
	for p := range int32(4) {
		offset, _ := fetched.Lookup(topic, p)
		committed = append(committed, offset.At)
	}
	say(answer{"committed": committed})
	second.Close()
	third, firsts := join(topic, name), map[int32]int64{}
	pollUntil(func() bool { return len(firsts) == 4 }, func() {
		for _, record := range poll(third.Client) {
			if _, seen := firsts[record.Partition]; !seen {
				firsts[record.Partition] = record.Offset
			}
		}
	})
	for p := range int32(4) {
		resumed = append(resumed, firsts[p])
	}
	say(answer{"resumed": resumed})
	third.Close()
}

func beMember(topic, name string) {
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	m, owned := join(topic, name), []int32{}
	defer m.Close()
	for {
		select {
		case <-ended:
			return
		default:
			pause()
		}
		if now := m.assigned(); !slices.Equal(now, owned) {
			owned = now
			say(answer{"owned": owned})
		}
	}
}

func transact(topic, name string) {
	cl := client(kgo.TransactionalID(name))
	defer cl.Close()
	transaction := func(end kgo.TransactionEndTry, values ...string) {
		check(cl.BeginTransaction())
		for _, value := range values {
			check(cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr())
		}
		check(cl.EndTransaction(ctx, end))
	}
	transaction(kgo.TryCommit, "committed 1", "committed 2")
	say(answer{"transaction": "committed"})
	transaction(kgo.TryAbort, "aborted")
	say(answer{"transaction": "aborted"})
}

// code is the error code of an answer, as the protocol numbers it; 0 without an error.
func code(err error) int16 {
	var known *kerr.Error
	if errors.As(err, &known) {
		return known.Code
	}
	check(err)
	return 0
}

type configs map[string]string

func admin(topic, group string) {
	cl := client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	create := func(name string, replicas int16, configs configs) int16 {
		values := map[string]*string{}
		for key, value := range configs {
			values[key] = &value
		}
		_, err := adm.CreateTopic(ctx, 2, replicas, values, name)
		return code(err)
	}
	described := func() map[string][]any {
		found := map[string][]any{}
		resource := must(must(adm.DescribeTopicConfigs(ctx, topic)).On(topic, nil))
		check(resource.Err)
		for _, config := range resource.Configs {
			if slices.Contains([]string{"cleanup.policy", "max.message.bytes", "retention.ms", "segment.ms"}, config.Key) {
				found[config.Key] = []any{config.Value, config.Source == kmsg.ConfigSourceDefaultConfig, config.Sensitive}
			}
		}
		return found
	}
	config := func(name string) string { return *described()[name][0].(*string) }
	alter := func(changes ...kadm.AlterConfig) int16 {
		response := must(must(adm.AlterTopicConfigs(ctx, changes, topic)).On(topic, nil))
		return code(response.Err)
	}
	partitions := func() int {
		found := must(adm.ListTopics(ctx, topic))
		return len(found[topic].Partitions)
	}
	grow := func(count int) int16 { return code(must(adm.UpdatePartitions(ctx, count, topic))[topic].Err) }
	deleteBefore := func(offset int64) []any {
		var offsets kadm.Offsets
		offsets.AddOffset(topic, 0, offset, -1)
		deleted, _ := must(adm.DeleteRecords(ctx, offsets)).Lookup(topic, 0)
		if deleted.Err != nil {
			return []any{code(deleted.Err), nil}
		}
		return []any{0, deleted.LowWatermark}
	}
	offset := func(listed kadm.ListedOffsets, err error) int64 {
		check(err)
		found, _ := listed.Lookup(topic, 0)
		check(found.Err)
		return found.Offset
	}
	listed := func() bool { return slices.Contains(must(adm.ListGroups(ctx)).Groups(), group) }
	deleteTopic := func() int16 {
		_, err := adm.DeleteTopic(ctx, topic)
		return code(err)
	}

	say(answer{"created": create(topic, 1, configs{"retention.ms": "60000000", "segment.ms": "50000000"})})
	pollUntil(func() bool { return partitions() == 2 }, pause)
	say(answer{"again": create(topic, 1, nil)})
	say(answer{"replicas": create(topic+"-3", 3, nil), "name": create(topic+"/", 1, nil),
		"value":  create(topic+"-x", 1, configs{"retention.ms": "x"}),
		"config": create(topic+"-y", 1, configs{"no_such_config": "1"})})
	say(answer{"configs": described()})
	altered := alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("70000000")},
		kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "segment.ms"},
		kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")})
	pollUntil(func() bool { return config("retention.ms") == "70000000" }, pause)
	say(answer{"altered": altered, "configs": described()})
	altered = alter(kadm.AlterConfig{Op: kadm.SubtractConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")})
	pollUntil(func() bool { return config("cleanup.policy") == "delete" }, pause)
	say(answer{"altered": altered, "bad": alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("x")})})
	grown := grow(4)
	pollUntil(func() bool { return partitions() == 4 }, pause)
	say(answer{"grown": grown, "fewer": grow(3)})
	for range 10 {
		check(cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr())
	}
	say(answer{"deleted": deleteBefore(6), "beyond": deleteBefore(11)})
	say(answer{"earliest": offset(adm.ListStartOffsets(ctx, topic)), "latest": offset(adm.ListEndOffsets(ctx, topic))})
	state := must(adm.DescribeGroups(ctx, group))[group]
	check(state.Err)
	say(answer{"group": strings.ToLower(state.State), "members": len(state.Members), "listed": listed()})
	_, err := adm.DeleteGroup(ctx, group)
	say(answer{"deleted": code(err), "listed": listed()})
	say(answer{"deleted": deleteTopic()})
	pollUntil(func() bool { return partitions() == 0 }, pause)
	say(answer{"again": deleteTopic()})
}
